"""A configuration file, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.config import ConfigError, load_config

Write = Callable[[str | bytes], Path]
Complaints = Callable[[str | bytes], list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "airoxy.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def complaints(write: Write) -> Complaints:
    """The mistakes in a file of this content, with F for its path."""

    def complaints(content: str | bytes) -> list[str]:
        path = write(content)
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert caught.value.exit_status == 78
        return caught.value.message.replace(str(path), "F").split("\n")

    return complaints
