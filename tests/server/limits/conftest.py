"""The limits of client keys are seen from outside, with one worker and with two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended

ONE = "sk-ant-api-test-one"


@pytest.fixture(params=[1, 2], ids=["one-worker", "two-workers"])
def airoxy(request: pytest.FixtureRequest, install: Callable[..., Airoxy]) -> Iterator[Airoxy]:
    """Running, with a token."""
    airoxy = install(workers=request.param)
    airoxy.token(ONE)
    return airoxy.start()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAnthropic]:
    """An Anthropic for all tests of a module."""
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, fake: FakeAnthropic) -> Iterator[Airoxy]:
    """Running in front of `fake`, with a token, for all tests of a module."""
    airoxy = Airoxy(tmp_path_factory.mktemp("served"), fake.url)
    with ended([airoxy]):
        airoxy.token(ONE)
        yield airoxy.start()


@pytest.fixture
def held(upstream: FakeAnthropic) -> Iterator[Any]:
    """Anthropic answers nobody until the test lets it."""
    limiter = upstream.script(path="/v1/messages", times=None).hold()
    yield limiter
    limiter.open()
