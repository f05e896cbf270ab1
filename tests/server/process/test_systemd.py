from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from airoxy.server.process.systemd import (
    Notifier,
    Passed,
    is_service,
    passed_descriptors,
    watchdog_interval,
)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd listens for notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(30)
        yield ear


@pytest.fixture
def notifier(ear: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notifier]:
    monkeypatch.setenv("NOTIFY_SOCKET", ear.getsockname())
    notifier = Notifier(os.environ)
    yield notifier
    notifier.close()


def test_only_what_systemd_started_itself_is_a_service() -> None:
    inherited = {"INVOCATION_ID": "0123", "NOTIFY_SOCKET": "/run/systemd/notify"}
    assert not is_service(inherited)
    assert not is_service(inherited | {"SYSTEMD_EXEC_PID": "1"})
    assert is_service(inherited | {"SYSTEMD_EXEC_PID": str(os.getpid())})


def test_sockets_for_another_process_are_left_alone() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http", "HOME": "/"}
    assert passed_descriptors(environ) == Passed()
    assert environ == {"HOME": "/"}


def test_no_sockets_are_no_sockets() -> None:
    assert passed_descriptors({}) == Passed()
    assert passed_descriptors({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) == Passed()


def test_the_watchdog_is_fed_twice_as_often_as_it_wants() -> None:
    assert watchdog_interval({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_interval({}) is None


def test_states_are_notified(notifier: Notifier, ear: socket.socket) -> None:
    notifier.ready()
    notifier.alive()
    notifier.stopping()
    assert [ear.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_reload_says_since_when(notifier: Notifier, ear: socket.socket) -> None:
    notifier.reloading()
    state, since = ear.recv(100).decode().split("\n")
    assert state == "RELOADING=1"
    assert since.removeprefix("MONOTONIC_USEC=").isdigit()


def test_a_status_is_told_when_it_changes(notifier: Notifier, ear: socket.socket) -> None:
    for text in ("one", "one", "two"):
        notifier.status(text)
    assert [ear.recv(100) for _ in range(2)] == [b"STATUS=one", b"STATUS=two"]


def test_without_systemd_notifications_go_nowhere() -> None:
    notifier = Notifier({})
    notifier.ready()
    notifier.close()
