"""One airoxy for many requests that are odd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

TOKEN = "sk-ant-api-test-one"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Airoxy, str, FakeAnthropic]]:
    with FakeAnthropic() as upstream:
        airoxy = Airoxy(tmp_path_factory.mktemp("airoxy"), upstream.url).start()
        try:
            airoxy.token(TOKEN)
            yield airoxy, airoxy.key(), upstream
            airoxy.stop()
        finally:
            airoxy.kill()


@pytest.fixture
def airoxy(site: tuple[Airoxy, str, FakeAnthropic]) -> Airoxy:
    return site[0]


@pytest.fixture
def key(site: tuple[Airoxy, str, FakeAnthropic]) -> str:
    return site[1]


@pytest.fixture
def upstream(site: tuple[Airoxy, str, FakeAnthropic]) -> FakeAnthropic:
    site[2].clear()
    return site[2]
