"""What is remembered of days that are over."""

from __future__ import annotations

import datetime
from itertools import count

from airoxy.store.usage.past import Past

TODAY = datetime.date(2026, 11, 28)


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
