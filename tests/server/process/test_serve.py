from __future__ import annotations

import contextlib
import http.client
import os
import re
import resource
import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.server.process.child import LEAVE_LATER, LEAVE_SOON
from airoxy.server.process.worker import DRAIN_DEADLINES
from airoxy.server.process.workers import WorkerTimeouts
from tests.ports import has_ipv6
from tests.program import ROOT
from tests.server.service import Crowd, Service, has_ended

Begin = Callable[..., Service]


def test_it_is_ready_when_all_workers_answer(begin: Begin) -> None:
    service = begin(workers=2)
    assert len(service.children) == 2
    assert service.worker() in service.children
    service.wait_status("STATUS=2 of 2 workers, 0 open streams")


def test_all_workers_share_one_memory(begin: Begin) -> None:
    service = begin(workers=2)
    with Crowd(service):
        service.reload()
    assert len({service.ask().split()[3] for _ in range(20)}) == 1


@pytest.mark.parametrize("by_systemd", [False, True])
def test_clients_that_come_at_once_are_spread_over_the_workers(
    begin: Begin, listener: socket.socket, by_systemd: bool
) -> None:
    service = begin(workers=2, **({"listener": listener} if by_systemd else {}))
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", service.port)
        # So many that a worker which gets no processor for a moment comes for its share, too.
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(256)]
        answered = Counter()
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        for client in clients:
            answered[client.recv(1000).split(b"\r\n\r\n")[1].split()[0]] += 1
    assert len(answered) == 2
    assert min(answered.values()) >= 8


def test_all_addresses_are_both_families(begin: Begin) -> None:
    service = begin(host=None)
    for address in ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",):
        with socket.create_connection((address, service.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_taken_port_is_told(begin: Begin, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    service = begin(port=port, until="")
    assert service.wait() == 1
    service.wait_journal(f"127.0.0.1:{port} is taken by another program")


def test_a_wrong_configuration_is_told_line_by_line(begin: Begin) -> None:
    service = begin(workers=0, affinity="none of these", until="")
    assert service.wait() == 78
    service.wait_journal("airoxy.yaml:3: workers")
    service.wait_journal("airoxy.yaml:4: affinity")


def test_a_first_worker_that_cannot_start_fails_the_start(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    service = begin(until="")
    assert service.wait() == 1
    service.wait_journal("A worker cannot start: The stub is broken.")


def test_a_reload_that_is_asked_for_at_the_start_is_done_after_it(tmp_path: Path) -> None:
    service = Service(tmp_path)
    written = service.config.read_text()
    service.config.unlink()
    os.mkfifo(service.config)
    service.start(until="")
    try:
        with service.config.open("w") as pipe:  # from here on somebody reads it
            service.signal(signal.SIGHUP)
            service.configure()
            pipe.write(written)
        service.wait_notified("READY=1", 2)
        assert "RELOADING=1" in service.notifications
    finally:
        service.stop()


def test_no_core_dump_can_be_written(begin: Begin) -> None:
    service = begin()
    # A byte is too little for a core; see `_restrict` for why it may be one.
    assert max(resource.prlimit(service.worker(), resource.RLIMIT_CORE)) <= 1


# Workers that die


def test_a_killed_worker_is_replaced_and_nobody_is_refused(begin: Begin) -> None:
    service = begin()
    first = service.worker()
    os.kill(first, signal.SIGKILL)
    assert service.worker() != first
    service.wait_journal(f"Worker {first} was killed by SIGKILL.")
    assert service.process.poll() is None


def test_a_worker_that_leaves_by_itself_is_replaced_before_it_has_left(begin: Begin) -> None:
    service = begin()
    first, stream = service.worker(), service.open_stream()
    os.kill(first, signal.SIGTERM)
    service.wait_status("1 leaving with 1 open stream")
    assert service.worker() != first
    service.finish_streams()
    assert stream.read() == b"last\n"


def test_workers_that_fail_to_start_are_tried_again(begin: Begin, tmp_path: Path) -> None:
    service = begin()
    (tmp_path / "broken").touch()
    os.kill(service.worker(), signal.SIGKILL)
    service.wait_for(lambda: service.journal.count("exited with status 1") >= 2, "two tries")
    (tmp_path / "broken").unlink()
    assert service.worker() in service.children


def test_a_hanging_worker_logs_where_and_is_replaced(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "strict").touch()
    service = begin()
    hanging = service.worker()
    with contextlib.closing(service.connect()) as client:
        client.request("GET", "/hang")
        service.wait_journal(f"Worker {hanging} was killed by SIGABRT.")
    assert "Fatal Python error: Aborted" in service.journal
    assert "in answer" in service.journal
    assert service.worker() != hanging


@pytest.mark.parametrize("workers", [1, 2])
def test_new_connections_do_not_wait_for_a_worker_that_hangs(
    begin: Begin, tmp_path: Path, workers: int
) -> None:
    (tmp_path / "wary").touch()
    service = begin(workers=workers)
    hanging = service.worker()
    os.kill(hanging, signal.SIGSTOP)
    for _ in range(4):
        assert service.worker() != hanging
    service.wait_journal(f"Worker {hanging} is silent; another one is started.")
    assert hanging in service.children  # not killed yet
    os.kill(hanging, signal.SIGCONT)
    service.wait_journal(f"Worker {hanging} is no longer silent; it leaves.")
    service.wait_for(lambda: len(service.children) == workers, "end of the worker")
    assert hanging not in service.children
    service.wait_status(f"STATUS={workers} of {workers} workers")


def test_workers_leave_when_the_parent_is_killed(begin: Begin) -> None:
    service = begin()
    worker = os.pidfd_open(service.worker())
    stream = service.open_stream()
    service.signal(signal.SIGKILL)
    service.wait_journal("The parent is gone; this worker leaves too.")
    service.wait_refusing()
    service.finish_streams()
    assert stream.read() == b"last\n"
    assert has_ended(worker)


# A parent that is killed under systemd


def test_workers_outlive_a_parent_that_is_killed_under_systemd(
    begin: Begin, listener: socket.socket
) -> None:
    service = begin(listener=listener, workers=2)
    old, memory = set(service.children), service.ask().split()[3]
    service.wait_for(lambda: len(service.stored) == 3, "descriptors to be stored")
    stream = service.open_stream()
    with Crowd(service) as crowd:
        service.signal(signal.SIGKILL)
        service.wait()
        service.start_again()
        assert service.worker() not in old
    assert not crowd.errors
    assert crowd.who & {str(pid) for pid in old}
    assert service.ask().split()[3] == memory
    service.wait_journal("The parent was killed; its workers")
    # The worker without a stream may have left by then.
    service.wait_status("leaving with 1 open stream")
    service.finish_streams()
    assert stream.read() == b"last\n"
    service.wait_journal(f"Worker {max(old)}, whose parent was killed, has ended.")
    service.wait_journal(f"Worker {min(old)}, whose parent was killed, has ended.")


def test_a_service_whose_parent_was_killed_is_reloaded_and_stopped_as_any_other(
    begin: Begin, listener: socket.socket
) -> None:
    service = begin(listener=listener)
    orphan = os.pidfd_open(service.worker())
    stream = service.open_stream()
    service.signal(signal.SIGKILL)
    service.start_again()
    service.reload()
    service.wait_status("1 leaving with 1 open stream")
    service.signal(signal.SIGTERM)
    service.wait_notified("STOPPING=1")
    service.finish_streams()
    assert stream.read() == b"last\n"
    assert service.wait() == 0
    assert has_ended(orphan)
    service.wait_for(
        lambda: all("worker" in name for name in service.stored), "memory to be given up"
    )


def test_a_memory_of_another_layout_is_given_up_after_a_kill(
    begin: Begin, listener: socket.socket, tmp_path: Path
) -> None:
    service = begin(listener=listener)
    before, stream = service.ask().split()[3], service.open_stream()
    (tmp_path / "layout").touch()
    service.signal(signal.SIGKILL)
    service.start_again()
    assert service.ask().split()[3] != before
    memories = [name for name in service.stored if name.startswith("memory-")]
    assert len(memories) == 1
    service.finish_streams()
    assert stream.read() == b"last\n"


def test_workers_of_a_killed_parent_stay_where_the_configuration_is_broken_by_then(
    begin: Begin, listener: socket.socket
) -> None:
    service = begin(listener=listener, max_attempts=4)
    worker = service.worker()
    service.configure(max_attempts="many")
    service.signal(signal.SIGKILL)
    service.start_again()
    service.wait_journal("airoxy.yaml:3: max_attempts")
    assert service.worker() == worker
    service.configure(max_attempts=3)
    service.reload()
    assert service.ask().split()[2] == "3"


def test_a_worker_that_leaves_is_not_taken_for_one_that_accepts(
    begin: Begin, listener: socket.socket
) -> None:
    service = begin(listener=listener)
    stream, leaving = service.open_stream(), service.worker()
    service.reload()
    service.configure(max_attempts="many")
    current = os.pidfd_open(service.worker())
    service.signal(signal.SIGSTOP)
    (pid,) = set(service.children) - {leaving}
    os.kill(pid, signal.SIGKILL)
    assert has_ended(current)
    service.signal(signal.SIGKILL)
    service.start_again()
    service.configure(max_attempts=3)
    assert service.ask().split()[2] == "3"
    service.finish_streams()
    assert stream.read() == b"last\n"


# Stop


def test_stopping_finishes_open_streams(begin: Begin, tmp_path: Path) -> None:
    service = begin(workers=2)
    workers = service.children
    stream = service.open_stream()
    service.signal(signal.SIGTERM)
    service.wait_notified("STOPPING=1")
    service.finish_streams()
    assert stream.read() == b"last\n"
    assert service.wait() == 0
    closed = (tmp_path / "closed").read_text().split()
    assert sorted(map(int, closed)) == sorted(workers)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_breaks_streams_off(begin: Begin, tmp_path: Path, signum: int) -> None:
    service = begin()
    stream = service.open_stream()
    service.signal(signum)
    service.wait_notified("STOPPING=1")
    service.signal(signum)
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        stream.read()
    assert service.wait() == 0
    assert (tmp_path / "closed").exists()


def test_a_worker_that_is_still_starting_stops_at_once(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    service = begin(until="")
    service.wait_status("STATUS=0 of 1 workers")
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert "READY=1" not in service.notifications


def test_a_stop_during_a_reload_stops(begin: Begin) -> None:
    service = begin()
    service.signal(signal.SIGHUP)
    service.wait_notified("RELOADING=1")
    service.signal(signal.SIGTERM)
    assert service.wait() == 0


# Under systemd


def test_it_serves_the_socket_that_systemd_passes(begin: Begin, listener: socket.socket) -> None:
    service = begin(listener=listener, port=1)
    service.port = listener.getsockname()[1]
    first = service.worker()
    service.reload()
    assert service.worker() != first


def test_a_stop_leaves_clients_to_the_next_start(begin: Begin, listener: socket.socket) -> None:
    service = begin(listener=listener)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        service.stop()
        service.start()
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_without_a_socket_from_systemd_it_fails(begin: Begin, tmp_path: Path) -> None:
    with socket.socket() as deaf:  # is passed, but listens to nobody
        deaf.bind(("127.0.0.1", 0))
        service = begin(listener=deaf, until="")
        assert service.wait() == 1
    service.wait_journal("systemd has passed no socket to airoxy.service")


def test_the_watchdog_is_notified(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.environ["WATCHDOG_USEC"] = "200000"
    service.start()
    try:
        service.wait_notified("WATCHDOG=1", 3)
        service.reload()
        service.wait_notified("WATCHDOG=1", service.notifications.count("WATCHDOG=1") + 2)
    finally:
        service.stop()


def test_the_unit_gives_workers_the_time_they_take() -> None:
    unit = (ROOT / "systemd/airoxy.service").read_text()
    patience, watchdog = (
        float(re.search(rf"^{name}=([0-9]+)s$", unit, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("TimeoutStopSec", "WatchdogSec")
    )
    # Requests that are broken off have two seconds to end, the writer five for its last tries.
    assert DRAIN_DEADLINES[LEAVE_SOON].running + 7 < WorkerTimeouts().stop < patience
    assert DRAIN_DEADLINES[LEAVE_LATER].running + 7 < WorkerTimeouts().retire
    # While a worker hangs systemd hears nothing, and should not lose patience before we do.
    assert WorkerTimeouts().kill_grace + watchdog / 2 < watchdog
