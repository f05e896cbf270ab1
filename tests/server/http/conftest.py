"""One airoxy for the tests of a module that need no more of it than its port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

Site = tuple[Airoxy, str, FakeAnthropic]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """airoxy, a client's key and the upstream."""
    with FakeAnthropic() as upstream:
        airoxy = Airoxy(tmp_path_factory.mktemp("airoxy"), upstream.url).start()
        try:
            airoxy.token("sk-ant-api-test-one")
            yield airoxy, airoxy.key(), upstream
            airoxy.stop()
        finally:
            airoxy.kill()


@pytest.fixture
def site(shared: Site) -> Site:
    shared[2].clear()
    return shared
