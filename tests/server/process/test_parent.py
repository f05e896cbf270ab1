from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from airoxy.server.process.child import SIGNALS, fork
from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.parent import Parent
from airoxy.server.process.reload import ParentState
from airoxy.server.process.systemd import Notifier
from airoxy.server.process.workers import WorkerTimeouts
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.unwritten import UnwrittenRequests, count_left


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A parent leaves signals as they are good for its end."""
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


class Manager(Notifier):
    """One that stops the service as soon as that says that it is ready."""

    def __init__(self) -> None:
        super().__init__({})
        self.heard: list[bool] = []
        self.unstored: list[str] = []

    def ready(self) -> None:
        handled = signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
        self.heard.append(handled)
        assert handled, "a reload now would kill the parent"
        os.kill(os.getpid(), signal.SIGTERM)

    def unstore(self, name: str) -> None:
        self.unstored.append(name)


def test_who_goes_on_after_a_failed_takeover_is_not_ready_before_it_hears_signals() -> None:
    manager = Manager()
    state = ParentState([], None, SharedMemory(LAYOUT), 0)
    parent = Parent(state, lambda *_: 0, manager, None)
    assert parent.run(failure="the configuration is broken") == 0
    assert manager.heard == [True]


class Hasty(Manager):
    """One that stops the service as soon as that has begun to reload."""

    def ready(self) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    def reloading(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_in_a_reload_leaves_no_dry_run_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def dry_run() -> int:
        begun.append(os.posix_spawn("/bin/sleep", ["sleep", "600"], {}))
        return begun[0]

    monkeypatch.setattr("airoxy.server.process.reload.dry_run", dry_run)
    state = ParentState([], None, SharedMemory(LAYOUT), 0)
    assert Parent(state, lambda *_: 0, Hasty(), None).run() == 0
    assert len(begun) == 1
    with pytest.raises(ChildProcessError):
        os.waitpid(begun[0], os.WNOHANG)


def test_a_signal_after_the_end_does_not_change_the_exit_status() -> None:
    def serve() -> int:
        state = ParentState([], None, SharedMemory(LAYOUT), 0)
        status = Parent(state, lambda *_: 0, Manager(), None).run(failure="none")
        os.kill(os.getpid(), signal.SIGTERM)
        return status

    _, status = os.waitpid(fork(serve, []), 0)
    assert status == 0


# Rows of workers that were killed


def killed(memory: SharedMemory) -> None:
    """A worker has begun a request, and was killed."""

    def begin() -> int:
        requests = UnwrittenRequests(memory)
        requests.grow()
        requests.unused.pop().request(b"", 1, 0, 1.5, 0, 0, b"/v1/messages", b"model", 1)
        return 0

    os.waitpid(fork(begin, []), 0)
    assert count_left(memory) == 1


def write_what_is_left(control: socket.socket, state: ParentState) -> int:
    requests = UnwrittenRequests(state.memory)
    requests.free([each.slot for each in requests.adopt()])
    return 0


def test_what_killed_workers_have_left_is_written_before_the_memory_is_given_up() -> None:
    state, manager = ParentState([], None, SharedMemory(LAYOUT), 0), Manager()
    killed(state.memory)
    assert Parent(state, write_what_is_left, manager, None).run(failure="none") == 0
    assert count_left(state.memory) == 0
    assert len(manager.unstored) == 1


def test_what_cannot_be_written_is_left_to_the_next_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state, manager = ParentState([], None, SharedMemory(LAYOUT), 0), Manager()
    killed(state.memory)
    assert Parent(state, lambda *_: 1, manager, None).run(failure="none") == 0
    assert manager.unstored == []
    assert "1 log rows are lost, unless systemd starts the service again." in caplog.text


class Impatient(Manager):
    """One that is told of each step of the parent, and tells others."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.writing = os.pipe()

    def status(self, text: str) -> None:
        os.write(self.writing, b".")


def test_a_second_signal_does_not_keep_what_is_left_from_being_written() -> None:
    state, manager = ParentState([], None, SharedMemory(LAYOUT), 0), Impatient()
    killed(state.memory)

    def write_late(control: socket.socket, state: ParentState) -> int:
        os.read(manager.reading, 4096)
        os.kill(os.getppid(), signal.SIGTERM)
        for _ in range(3):  # until the parent has heard of it
            os.read(manager.reading, 1)
        return write_what_is_left(control, state)

    parent = Parent(state, write_late, manager, None, timeouts=WorkerTimeouts(tick=0.01))
    assert parent.run(failure="none") == 0
    assert count_left(state.memory) == 0
