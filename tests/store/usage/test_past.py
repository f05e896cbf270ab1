"""What is remembered of days that are over."""

from __future__ import annotations

import datetime
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import apsw
import pytest

from airoxy.store.usage.daily import GROUPS, totals, totals_by
from airoxy.store.usage.past import Past, totals_of_days
from airoxy.store.usage.requests import Row
from tests.store.seed import TODAY, add_key, add_token, append, days_ago, row


def test_it_is_read_once_until_it_is_old_or_the_day_is_over() -> None:
    moment, reads = [0.0], count(1)
    past = Past(kept=300, clock=lambda: moment[0])

    def ask(day: datetime.date = TODAY) -> int:
        return past.of("keys", day, lambda: next(reads))

    assert (ask(), ask()) == (1, 1)
    moment[0] = 299
    assert ask() == 1
    moment[0] = 300
    assert ask() == 2
    assert ask(TODAY + datetime.timedelta(1)) == 3
    assert ask() == 4, "yesterday's was forgotten"


def test_of_many_answers_the_newest_are_kept() -> None:
    past, reads = Past(clock=count().__next__), count(1)
    for number in range(60):
        past.of(f"{number}", TODAY, lambda: next(reads))
    assert past.of("59", TODAY, lambda: next(reads)) == 60
    assert past.of("0", TODAY, lambda: next(reads)) == 61


def test_who_asks_for_something_else_does_not_wait() -> None:
    past, reads = Past(), count(1)
    begun, end = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert end.wait(60)
        return next(reads)

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(past.of, "slow", TODAY, slow) for _ in range(2))
        assert begun.wait(60)
        assert past.of("quick", TODAY, lambda: "quick") == "quick"
        end.set()
        assert (first.result(), second.result()) == (1, 1)


def used(chance: random.Random, days: int) -> Row:
    return row(
        days_ago(chance.randrange(days)), api_key_id=chance.randrange(5),
        token_id=chance.choice((None, 1, 2)), model=chance.choice((None, "a", "b", "c")),
        cost_nanousd=chance.randrange(3), status_code=chance.choice((200, 429)),
    )  # fmt: skip


@pytest.mark.parametrize("by", [None, *GROUPS])
@pytest.mark.parametrize("since", [None, days_ago(2), TODAY])
@pytest.mark.parametrize("until", [None, TODAY, days_ago(-1)])
def test_sums_are_the_same_with_those_that_are_kept(
    db: apsw.Connection, by: str | None, since: datetime.date | None, until: datetime.date | None
) -> None:
    chance, past, days = random.Random(7), Past(), {"since": since, "until": until}
    for name in ("one", "two", "three"):
        add_key(db, name)
        add_token(db, name)
    append(db, *(used(chance, 5) for _ in range(60)))
    for _ in range(2):
        for token_id in (None, 2):
            asked = {**days, "token_id": token_id}
            direct = [totals(db, **asked)] if by is None else totals_by(db, by, **asked)
            assert totals_of_days(db, past, TODAY, by, **asked) == direct
        append(db, *(used(chance, 1) for _ in range(20)))
