"""What is counted, in memory that workers share, fight for and die over."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airoxy.core.billing.usage import counts_of
from airoxy.server.metrics import counters as module
from airoxy.server.metrics import exposition
from airoxy.server.metrics.counters import (
    BOUNDS,
    OTHER,
    REGION,
    SUMMED,
    CounterLabels,
    CounterValues,
    MetricCounters,
)
from airoxy.server.metrics.load import Load
from airoxy.server.metrics.readings import Readings, Stored
from airoxy.server.shared_memory import SharedMemory
from airoxy.store.usage.requests import Row
from tests.server.killed import Notes, Step, run
from tests.store.seed import row as usage_row

FORK = multiprocessing.get_context("fork")


def row(**changes: Any) -> Row:
    return usage_row(**{"token_id": 7} | changes)


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    with closing(SharedMemory.of(REGION)) as memory:
        yield memory


@pytest.fixture
def metric_counters(memory: SharedMemory) -> MetricCounters:
    return MetricCounters(memory)


def told(metric_counters: MetricCounters) -> dict[CounterLabels, CounterValues]:
    return {outcome: counts for outcome, counts in metric_counters.read() if counts.requests}


def test_who_finds_a_request_counted_finds_all_of_it(metric_counters: MetricCounters) -> None:
    seen: list[int] = []

    class Watched(Row):
        """Looks at what is counted while its last value is added."""

        @property
        def duration_ms(self) -> int:  # type: ignore[override]
            seen.append(sum(counts.requests for _, counts in metric_counters.read()))
            return 5

    metric_counters.count([Watched._make(row())])
    assert set(seen) == {0}
    assert [counts.requests for counts in told(metric_counters).values()] == [1]


def test_requests_of_a_key_are_counted_apart_by_the_group_that_it_was_in(
    memory: SharedMemory, metric_counters: MetricCounters
) -> None:
    """In the memory, by another worker, and as series with the group's name."""
    metric_counters.count([row()] + [row()._replace(group_id=3)] * 2)
    MetricCounters(memory).count([row()._replace(group_id=3), row()._replace(group_id=4)])
    counted = told(metric_counters)
    assert {labels.group_id: counts.requests for labels, counts in counted.items()} == {
        0: 1, 3: 3, 4: 1,
    }  # fmt: skip
    stored = Stored({1: "laptop"}, {7: "one"}, readable=True, groups={3: 'da"ta\\'})
    read = Readings(metric_counters.read(), 0, 0, Load(), frozenset(), stored)
    text = exposition.render(read, "")[0].decode()
    for group, number in (("none", 1), (r"da\"ta\\", 3), ("#4", 1)):
        (line,) = re.findall(
            rf'^airoxy_requests_total{{.*group="{re.escape(group)}".*', text, re.MULTILINE
        )
        assert line.endswith(f" {number}.0")
    assert text.count('group="#4"') > 2


def test_a_request_is_counted_with_all_that_it_used(metric_counters: MetricCounters) -> None:
    used = row(is_estimate=True, uncounted=True)
    metric_counters.count([used._replace(attempts=3), used._replace(attempts=0)])
    ((outcome, counts),) = told(metric_counters).items()
    assert outcome == CounterLabels(1, 7, 200, "complete", "claude-opus-5-5")
    assert (counts.requests, counts.failovers) == (2, 2)
    amounts = (*counts_of(used.usage), used.cost_nanousd, True, True)
    assert counts.sums == {name: 2 * amount for name, amount in zip(SUMMED, amounts, strict=True)}


_ROWS = st.builds(
    row,
    api_key_id=st.integers(1, 2),
    token_id=st.sampled_from((None, 7)),
    group_id=st.sampled_from((None, 3)),
    model=st.sampled_from((None, "", OTHER, "claude-one", "claude-two")),
    status_code=st.sampled_from((200, 529)),
    input_tokens=st.integers(0, 2),
    output_tokens=st.integers(0, 1),
    cost_nanousd=st.integers(0, 9),
    attempts=st.integers(0, 3),
    ttfb_ms=st.none() | st.sampled_from((0, 100, 101, 10**6)),
    duration_ms=st.sampled_from((0, 100, 101, 10**6)),
    is_estimate=st.booleans(),
    uncounted=st.booleans(),
)


@settings(max_examples=50)
@given(before=st.lists(_ROWS, max_size=20), rows=st.lists(_ROWS, max_size=20))
def test_rows_are_counted_together_as_they_are_one_by_one(
    before: list[Row], rows: list[Row]
) -> None:
    with closing(SharedMemory.of(REGION)) as one, closing(SharedMemory.of(REGION)) as other:
        together, one_by_one = MetricCounters(one), MetricCounters(other)
        together.count(before)
        together.count(rows)
        for each in before + rows:
            one_by_one.count([each])
        assert told(together) == told(one_by_one)


@pytest.mark.parametrize(
    "change",
    [{"api_key_id": 2}, {"token_id": None}, {"status_code": 529}, {"ending": "upstream_failed"}],
)
def test_each_outcome_is_counted_by_itself(
    metric_counters: MetricCounters, change: dict[str, Any]
) -> None:
    metric_counters.count([row(), row(**change)])
    assert sorted(counts.requests for counts in told(metric_counters).values()) == [1, 1]


def test_a_time_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed(
    metric_counters: MetricCounters,
) -> None:
    edges = [edge for bound in BOUNDS for edge in (bound, bound + 1)]
    metric_counters.count([row(ttfb_ms=None, duration_ms=edge) for edge in [0, *edges]])
    (counts,) = told(metric_counters).values()
    assert counts.duration == (2, *[2] * (len(BOUNDS) - 1), 1, sum(edges))
    assert not any(counts.ttfb)


def test_dropped_rows_are_counted(metric_counters: MetricCounters) -> None:
    metric_counters.count([], dropped=3)
    metric_counters.count([], dropped=2)
    assert metric_counters.dropped == 5
    assert not told(metric_counters)


# Names that clients make up


def test_a_model_has_a_name_when_anthropic_has_charged_for_it(
    metric_counters: MetricCounters,
) -> None:
    made_up = row(model="claude-zero", status_code=404, input_tokens=0, output_tokens=0)
    metric_counters.count([made_up, row(model="claude-zero"), made_up])
    named = {
        (each.model, each.status): counts.requests for each, counts in told(metric_counters).items()
    }
    assert named == {(OTHER, 404): 1, ("claude-zero", 200): 1, ("claude-zero", 404): 1}


def test_no_more_models_have_names_than_there_is_place_for(
    metric_counters: MetricCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MODELS", 3)
    metric_counters.count([row(model=f"model-{number}") for number in range(10)])
    named = {each.model: counts.requests for each, counts in told(metric_counters).items()}
    assert named == {"model-0": 1, "model-1": 1, "model-2": 1, OTHER: 7}


def test_a_full_memory_loses_names_and_no_number(
    metric_counters: MetricCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORDS", 4)
    for _ in range(2):
        metric_counters.count([row(api_key_id=number) for number in range(1, 11)])
    assert len(told(metric_counters)) == 4
    assert told(metric_counters)[CounterLabels(0, 0, 0, OTHER, OTHER)].requests == 14
    assert sum(counts.sums["input_tokens"] for counts in told(metric_counters).values()) == 200


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=200,
)
@given(model=st.none() | st.text(max_size=80), status=st.integers(0, 999))
def test_whatever_a_model_is_called_it_is_counted_once(
    metric_counters: MetricCounters, model: str | None, status: int
) -> None:
    before = sum(counts.requests for counts in told(metric_counters).values())
    metric_counters.count([row(model=model, status_code=status)])
    found = told(metric_counters)
    assert sum(counts.requests for counts in found.values()) == before + 1
    assert len({each.model for each in found}) <= module.MODELS + 2


# Several workers


def test_a_worker_knows_what_another_has_named(
    memory: SharedMemory, metric_counters: MetricCounters
) -> None:
    other = MetricCounters(memory)
    metric_counters.count([row()])
    other.count([row(status_code=529, input_tokens=0, output_tokens=0), row()])
    assert {(each.model, each.status): n.requests for each, n in told(metric_counters).items()} == {
        ("claude-opus-5-5", 200): 2,
        ("claude-opus-5-5", 529): 1,
    }


def _work(memory: SharedMemory, start: Any, rounds: int) -> None:
    metric_counters = MetricCounters(memory)
    start.wait()
    for number in range(rounds):
        metric_counters.count([row(api_key_id=1 + number % 50), row(token_id=os.getpid())])


def test_workers_that_count_at_once_lose_nothing(
    memory: SharedMemory, metric_counters: MetricCounters
) -> None:
    start = FORK.Barrier(2)
    workers = [FORK.Process(target=_work, args=(memory, start, 1000)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(counts.requests for counts in told(metric_counters).values()) == 4000
    assert len(told(metric_counters)) == 52


def test_each_of_many_requests_is_marked_as_counted() -> None:
    marked: list[int] = []
    slots = [None, *(SimpleNamespace(word=number) for number in range(1200))]
    with closing(SharedMemory.of(REGION)) as memory:
        metric_counters = MetricCounters(memory, marked.extend)
        metric_counters.count([row() for _ in slots], 0, slots)
        assert [counts.requests for counts in told(metric_counters).values()] == [len(slots)]
    assert marked == [*range(1200)]


def test_what_a_killed_worker_has_begun_to_count_is_counted_once_by_who_comes_next() -> None:
    """Or, where it was not begun, not at all."""
    for step in itertools.count():
        marked: list[int] = []
        with closing(SharedMemory.of(REGION)) as memory:
            metric_counters = MetricCounters(memory, marked.extend)
            metric_counters.count([row(), row(status_code=529)])

            async def add(metric_counters: MetricCounters = metric_counters) -> None:
                rows = [row(attempts=3), row(ttfb_ms=900), row(status_code=529)]
                slots = [SimpleNamespace(word=number) for number in range(3)]
                metric_counters.count(rows, 0, slots)

            was_killed = run(add, Step("MainThread", step), Notes())
            metric_counters.settle()
            counted = sorted(told(metric_counters).items())
            assert [counts.requests for _, counts in counted] in ([1, 1], [3, 2])
            if is_counted := counted[0][1].requests == 3:
                assert (counted[0][1].failovers, sum(counted[0][1].ttfb[:-1])) == (2, 3)
            assert marked in ([], [0, 1, 2])
            assert is_counted or not marked
        if not was_killed:
            break
    assert is_counted


def test_who_is_killed_while_counting_takes_nothing_away_and_blocks_nobody(
    memory: SharedMemory, metric_counters: MetricCounters
) -> None:
    start = FORK.Barrier(2)
    worker = FORK.Process(target=_work, args=(memory, start, 10**9))
    worker.start()
    start.wait()
    while sum(counts.requests for counts in told(metric_counters).values()) < 100:
        pass
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    before = sum(counts.requests for counts in told(metric_counters).values())
    metric_counters.count([row(api_key_id=99)])
    assert sum(counts.requests for counts in told(metric_counters).values()) == before + 1
