"""The soak, shortened: everything at once, nothing grows, every token is counted."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import Watched
from tests.soak import KINDS, soak

SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))


def test_nothing_grows_and_every_token_is_counted(
    install: Callable[..., Watched], upstream: FakeAnthropic
) -> None:
    airoxy = install().start()
    for number in range(3):
        airoxy.token(f"sk-ant-api-test-{number}")
    report = soak(airoxy, upstream, SECONDS)
    assert report.faults() == []
    assert set(report.asked) == set(KINDS)
    assert min(report.asked.values()) > 5
