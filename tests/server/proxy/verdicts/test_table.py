"""Every row of the table of verdicts through the whole proxy, plain and streamed, with one worker
and with two: what the client gets, which tokens were asked, and what becomes of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended
from tests.server.proxy.verdicts.accounts import Accounts
from tests.server.proxy.verdicts.table import OVERLOADED_STREAMS, PAUSES, ROWS, Row


class Site(NamedTuple):
    airoxy: Airoxy
    upstream: FakeAnthropic


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One for all rows, each of which has tokens of its own."""
    with FakeAnthropic() as upstream:
        directory = tmp_path_factory.mktemp("table") / "airoxy"
        airoxy = Airoxy(directory, upstream.url, workers=request.param)
        with ended([airoxy]):
            yield Site(airoxy.start(), upstream)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_row_holds_for_the_token_and_the_request(site: Site, row: Row, stream: bool) -> None:
    Accounts(*site, row).check(stream=stream)


def test_each_row_with_a_pause_holds(site: Site) -> None:
    rows = [*itertools.product(PAUSES.values(), (False, True))]
    rows += [(row, True) for row in OVERLOADED_STREAMS.values()]
    with ThreadPoolExecutor(len(rows)) as threads:
        met = [threads.submit(Accounts(*site, row).check, stream=stream) for row, stream in rows]
    for each in met:
        each.result()
