from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.reload import ENVIRON, inherit
from tests.server.service import PATIENCE, Crowd, Service, has_ended

Begin = Callable[..., Service]


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


def test_old_workers_end_when_their_streams_do(begin: Begin) -> None:
    service = begin()
    predecessor = os.pidfd_open(service.worker())
    stream = service.open_stream()
    service.reload()
    service.wait_status("1 leaving with 1 open stream")
    service.finish_streams()
    assert stream.read() == b"last\n"
    assert has_ended(predecessor)


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


def test_a_configuration_spoilt_after_the_dry_run_keeps_what_runs(
    begin: Begin, tmp_path: Path
) -> None:
    service = begin(max_attempts=4)
    before = service.worker()
    (tmp_path / "spoil").touch()
    service.reload()
    service.wait_journal("Not reloaded, everything goes on as before:")
    assert service.worker() == before
    (tmp_path / "spoil").unlink()
    service.configure(max_attempts=3)
    os.kill(before, signal.SIGKILL)
    assert service.ask().split()[2] == "3"
    service.reload()
    service.wait_journal("Reloaded.")


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


def memory(service: Service) -> str:
    return service.ask().split()[3]


def test_a_reload_keeps_the_shared_memory(begin: Begin) -> None:
    service = begin()
    before = memory(service)
    service.reload()
    assert memory(service) == before
    assert "shared memory" not in service.journal


def test_a_reload_to_another_layout_makes_a_new_memory_and_says_so(
    begin: Begin, tmp_path: Path
) -> None:
    service = begin()
    before, stream = memory(service), service.open_stream()
    (tmp_path / "layout").touch()
    service.reload()
    assert memory(service) != before
    service.wait_journal("lays the shared memory out differently")
    service.wait_status("1 leaving with 1 open stream")
    service.finish_streams()
    assert stream.read() == b"last\n"
    (tmp_path / "layout").unlink()
    service.reload()
    service.wait_for(lambda: len(service.children) == 1, "end of the old worker")
    assert service.worker() in service.children


def test_a_reload_to_another_layout_that_fails_leaves_a_service_that_can_go_on(
    begin: Begin, tmp_path: Path
) -> None:
    service = begin(max_attempts=4)
    first = service.worker()
    (tmp_path / "spoil").touch()
    (tmp_path / "layout").touch()
    service.reload()
    service.wait_journal("Not reloaded, everything goes on as before:")
    assert service.worker() == first
    (tmp_path / "spoil").unlink()
    service.configure(max_attempts=3)
    os.kill(first, signal.SIGKILL)
    assert service.ask().split()[2] == "3"


@pytest.mark.parametrize("layout", [6, "another"])
def test_a_handover_of_1_0_is_taken_over(layout: int | str) -> None:
    """The process that hands over is the older program; what it wrote does not change any more."""
    listening, (line, other_end) = socket.create_server(("127.0.0.1", 0)), socket.socketpair()
    left = {
        "sockets": [listening.detach()], "addresses": [["127.0.0.1"], 3800],
        "standing": os.memfd_create("standing"), "layout": layout, "count": 1,
        "workers": [{
            "line": line.detach(), "pid": 7, "heard": 1.5, "born": 1.0, "ready": True,
            "deaf": False, "streams": 2, "leaving": False, "kill_at": math.inf,
        }],
    }  # fmt: skip
    state = inherit({ENVIRON: json.dumps(left)}, LAYOUT)
    assert state
    with contextlib.closing(state.memory):
        assert state.addresses == (("127.0.0.1",), 3800)
        assert state.workers[7].streams == 2
        assert state.old_layout == str(layout)
        assert state.memory.words(LAYOUT.regions[0])[0] == 0
    for each in (other_end, state.listeners[0], state.workers[7].control):
        each.close()


def test_reloads_leave_nothing_behind(begin: Begin) -> None:
    service = begin(workers=2)
    service.reload()
    service.wait_for(lambda: len(service.children) == 2, "end of the old workers")
    before = service.descriptors()
    for _ in range(5):
        service.reload()
    service.wait_for(lambda: len(service.children) == 2, "end of the old workers")
    deadline = time.monotonic() + PATIENCE
    # What a worker leaves is closed soon after its end, and was perhaps not yet `before`.
    while any(now > then for now, then in zip(service.descriptors(), before, strict=True)):
        assert time.monotonic() < deadline, (service.descriptors(), before)
