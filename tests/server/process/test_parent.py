from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from airoxy.server.process.child import SIGNALS, fork
from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.parent import Parent
from airoxy.server.process.reload import ParentState
from airoxy.server.process.systemd import Notifier
from airoxy.server.shared_memory import SharedMemory


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

    def ready(self) -> None:
        handled = signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
        self.heard.append(handled)
        assert handled, "a reload now would kill the parent"
        os.kill(os.getpid(), signal.SIGTERM)


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
