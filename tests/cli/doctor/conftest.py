"""Whatever the tests run on: a healthy airoxy, and no systemd."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.doctor.ward import Ward
from tests.fake_anthropic import FakeAnthropic


@pytest.fixture
def ward(tmp_path: Path, upstream: FakeAnthropic) -> Ward:
    return Ward(tmp_path / "state", upstream.url)


@pytest.fixture(autouse=True)
def _here_is_no_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wherever the tests run."""
    monkeypatch.setattr("airoxy.cli.system.system.BOOTED", tmp_path / "not-booted")
