"""The child that reads the configuration."""

from __future__ import annotations

import os
import socket

import pytest

from airoxy.errors import ConfigError
from airoxy.server.process.settings import read_settings


def held() -> str:
    return " ".join(os.readlink(f"/proc/self/fd/{fd}") for fd in range(100) if _is_open(fd))


def _is_open(fd: int) -> bool:
    return os.path.exists(f"/proc/self/fd/{fd}")


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
