"""The child that reads the configuration."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from airoxy.errors import ConfigError
from airoxy.server.process.settings import read_settings


def held() -> str:
    """What this process has open, however much that is."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return " ".join(found)


def test_a_child_that_outlives_its_parent_does_not_keep_the_port() -> None:
    """A restart while a service starts, which kills the parent alone, found the port in use."""

    def load() -> None:
        raise ConfigError(held())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = os.readlink(f"/proc/self/fd/{listener.fileno()}")
        assert name in held()
        with pytest.raises(ConfigError) as caught:
            read_settings(load)  # type: ignore[arg-type]
    assert "pipe:" in caught.value.message
    assert name not in caught.value.message
