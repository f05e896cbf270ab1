"""Where the generator is, and what it writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "systemd" / "airoxy-generator"
SOCKET = "airoxy.socket.d/10-airoxy-yaml.conf"
SERVICE = "airoxy.service.d/10-airoxy-yaml.conf"
TIMER = "airoxy-refresh-tokens.timer.d/10-airoxy-yaml.conf"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
Generate = Callable[[str], dict[str, str]]


def settings(drop_in: str) -> list[str]:
    """A drop-in less its comments."""
    return [line for line in drop_in.splitlines() if line and not line.startswith("#")]
