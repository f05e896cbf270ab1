from __future__ import annotations

import contextlib
import http.client
import os
import resource
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.service import Crowd, Service

Begin = Callable[..., Service]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts the one service of a test, with these settings."""
    made: list[Service] = []

    def begin(
        *, until: str = "READY=1", listener: socket.socket | None = None, **settings: object
    ) -> Service:
        service = Service(tmp_path, listener)
        made.append(service)
        service.configure(**settings)
        return service.start(until=until)

    yield begin
    for service in made:
        service.stop()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


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


def test_all_addresses_are_both_families(begin: Begin) -> None:
    service = begin(host=None)
    for address in ("127.0.0.1", "::1"):
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


def test_workers_that_die_of_their_start_are_tried_again(begin: Begin, tmp_path: Path) -> None:
    service = begin()
    (tmp_path / "broken").touch()
    os.kill(service.worker(), signal.SIGKILL)
    service.wait_for(lambda: service.journal.count("exited with status 1") == 2, "two tries")
    (tmp_path / "broken").unlink()
    assert service.worker() in service.children


def test_a_hanging_worker_says_where_and_is_replaced(begin: Begin) -> None:
    service = begin()
    hanging = service.worker()
    with contextlib.closing(service.connect()) as client:
        client.request("GET", "/hang")
        service.wait_journal(f"Worker {hanging} was killed by SIGABRT.")
    assert "Fatal Python error: Aborted" in service.journal
    assert "in asgi" in service.journal
    assert service.worker() != hanging


def test_workers_leave_when_the_parent_is_killed(begin: Begin) -> None:
    service = begin()
    worker = os.pidfd_open(service.worker())
    stream = service.open_stream()
    service.signal(signal.SIGKILL)
    service.wait_journal("The parent is gone; this worker leaves too.")
    with pytest.raises(ConnectionError):
        service.ask()
    service.finish_streams()
    assert stream.read() == b"last\n"
    assert has_ended(worker)


# Reload


def test_a_reload_loses_no_request_and_no_stream(begin: Begin) -> None:
    service = begin(workers=2)
    parent, old = service.process.pid, set(service.children)
    streams = [service.open_stream() for _ in range(4)]
    with Crowd(service) as crowd:
        for attempts in (1, 2, 3):
            service.configure(max_attempts=attempts)
            service.reload()
            assert service.ask().split()[2] == str(attempts)
    assert not crowd.errors
    assert service.process.pid == parent
    assert service.process.poll() is None
    assert crowd.who & {str(pid) for pid in old}
    assert service.worker() not in old
    service.finish_streams()
    assert [stream.read() for stream in streams] == [b"last\n"] * 4


def test_a_reload_is_told_to_systemd(begin: Begin) -> None:
    service = begin()
    service.reload()
    told = [each for each in service.notifications if not each.startswith("STATUS=")]
    assert told[:2] == ["READY=1", "RELOADING=1"]
    assert told[2].startswith("MONOTONIC_USEC=")
    assert told[3] == "READY=1"
    service.wait_journal("Reloaded.")


def test_former_workers_end_when_their_streams_do(begin: Begin) -> None:
    service = begin()
    former = os.pidfd_open(service.worker())
    stream = service.open_stream()
    service.reload()
    service.wait_status("1 leaving with 1 open stream")
    service.finish_streams()
    assert stream.read() == b"last\n"
    assert has_ended(former)


def test_a_reload_changes_the_number_of_workers(begin: Begin) -> None:
    service = begin()
    for workers in (3, 1):
        service.configure(workers=workers)
        service.reload()
        service.wait_status(f"STATUS={workers} of {workers} workers")
        assert service.ask().split()[1] == str(workers)


def test_a_reload_moves_to_another_port(begin: Begin, tmp_path: Path) -> None:
    service = begin()
    old = service.port
    service.configure(port=Service(tmp_path).port)
    service.reload()
    assert service.worker() in service.children
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", old))


def test_a_port_that_cannot_be_had_keeps_the_old_one(begin: Begin, listener: socket.socket) -> None:
    service = begin()
    old, first = service.port, service.worker()
    service.configure(port=listener.getsockname()[1])
    service.reload()
    service.wait_journal("Not reloaded, everything goes on as before")
    service.port = old
    assert service.worker() == first
    os.kill(first, signal.SIGKILL)
    assert service.worker() != first


def test_a_broken_configuration_keeps_what_runs(begin: Begin) -> None:
    service = begin()
    before = service.worker()
    service.configure(max_attempts="many")
    service.reload()
    service.wait_journal("airoxy.yaml:3: max_attempts")
    service.wait_status("the last reload failed")
    assert service.worker() == before
    service.configure(max_attempts=3)
    service.reload()
    service.wait_journal("Reloaded.")
    assert service.worker() != before


def test_a_replaced_worker_has_the_configuration_of_the_others(begin: Begin) -> None:
    service = begin(max_attempts=4)
    service.configure(max_attempts="many")
    os.kill(service.worker(), signal.SIGKILL)
    assert service.ask().split()[2] == "4"


def test_code_that_cannot_be_imported_keeps_what_runs(begin: Begin, tmp_path: Path) -> None:
    service = begin()
    before = service.worker()
    (tmp_path / "unloadable").touch()
    service.reload()
    service.wait_journal("ImportError: new code, half installed")
    assert service.worker() == before


@pytest.mark.parametrize("fault", ["broken", "slow"])
def test_new_workers_that_do_not_get_ready_keep_the_old_ones(
    begin: Begin, tmp_path: Path, fault: str
) -> None:
    service = begin(workers=2)
    old = set(service.children)
    (tmp_path / fault).touch()
    with Crowd(service) as crowd:
        service.reload()
    service.wait_journal("Not reloaded, everything goes on as before: a new worker")
    assert not crowd.errors
    assert {int(pid) for pid in crowd.who} <= old
    (tmp_path / fault).unlink()
    service.reload()
    service.wait_journal("Reloaded.")
    assert service.worker() not in old


def test_many_reloads_at_once_are_few(begin: Begin) -> None:
    service = begin()
    with Crowd(service) as crowd:
        for _ in range(20):
            service.signal(signal.SIGHUP)
        service.wait_notified("READY=1", 2)
        service.reload()
    assert not crowd.errors
    assert service.notifications.count("RELOADING=1") <= 4


def test_reloads_leave_nothing_behind(begin: Begin) -> None:
    service = begin(workers=2)
    service.reload()
    service.wait_for(lambda: len(service.children) == 2, "end of the former workers")
    descriptors, worker = service.descriptors(), descriptors_of(service.worker())
    for _ in range(5):
        service.reload()
    service.wait_for(lambda: len(service.children) == 2, "end of the former workers")
    assert service.descriptors() == descriptors
    assert descriptors_of(service.worker()) == worker


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


def test_the_watchdog_hears_of_us(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.environ["WATCHDOG_USEC"] = "200000"
    service.start()
    try:
        service.wait_notified("WATCHDOG=1", 3)
        service.reload()
        service.wait_notified("WATCHDOG=1", service.notifications.count("WATCHDOG=1") + 2)
    finally:
        service.stop()


def has_ended(process: int) -> bool:
    """Whether the process of this pidfd ends within the time of a test."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    try:
        return bool(poll.poll(10_000))
    finally:
        os.close(process)


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
