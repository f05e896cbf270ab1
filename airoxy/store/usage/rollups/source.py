"""Where sums over days are read: in the rollups as far as they have them, else in `daily`."""

# ruff: noqa: S608  (the SQL is put together from this file's own words and whole numbers)
from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apsw

from airoxy.calendar import day_number, first_of_next_month, numbered_day
from airoxy.store.schema import run, snapshot
from airoxy.store.usage.rollups.tables import BY_MODEL, BY_PROMPT, BY_SPAN, PROMPTS

#: A day after all others.
_NEVER = day_number(datetime.date.max)
#: A key's sums are found by looking for it in each day, because they are in the order of days and
#: then of keys.
_EACH_DAY = (
    "day IN (WITH RECURSIVE each_day (day) AS (SELECT max({0}, min(day)) FROM daily"
    " UNION ALL SELECT day + 1 FROM each_day"
    " WHERE day + 1 < {1} AND day < (SELECT max(day) FROM daily))"
    " SELECT day FROM each_day WHERE day < {1})"
)


class Chosen(NamedTuple):
    """Which sums are wanted: of the days from `since` to before `until`, of a token, a client key
    and a group; None is any."""

    since: datetime.date | None = None
    until: datetime.date | None = None
    token_id: int | None = None
    key_id: int | None = None
    group_id: int | None = None

    @property
    def first(self) -> int:
        return day_number(self.since) if self.since else 0

    @property
    def end(self) -> int:
        return day_number(self.until) if self.until else _NEVER

    @property
    def of_all(self) -> bool:
        """Of all client keys and tokens."""
        return self.key_id is None and self.token_id is None

    @property
    def whose(self) -> str:
        """The condition for token, key and group."""
        columns = {
            "token_id": self.token_id, "api_key_id": self.key_id, "group_id": self.group_id
        }  # fmt: skip
        wanted = [f"{name} = {int(id_)}" for name, id_ in columns.items() if id_ is not None]
        return " AND ".join(wanted) or "TRUE"

    def within(self, first: int, end: int) -> str:
        """The condition for rows of `daily`, of those days from `first` to before `end`."""
        days = f"day >= {first} AND day < {end}"
        if self.key_id is not None:
            days = _EACH_DAY.format(first, end)
        return f"{days} AND {self.whose}"

    @property
    def where(self) -> str:
        """The same for all of the days."""
        return self.within(self.first, self.end)


@contextlib.contextmanager
def one_moment(db: apsw.Connection) -> Iterator[None]:
    """Rollups, and what they do not have, are read as they belong together."""
    with snapshot(db) if db.getautocommit() else contextlib.nullcontext():
        yield


def by_span(db: apsw.Connection, chosen: Chosen, columns: Sequence[str]) -> str:
    """A table of these columns of `daily`, not of its days: in whole years and months as far as
    that goes."""
    select = f"SELECT {', '.join(columns)} FROM"
    horizon = _Horizon.read(db)
    spans, begin, stop = horizon.spans(chosen.first, chosen.end) if horizon else ([], 0, 0)
    if not horizon or not spans:
        return f"({select} daily WHERE {chosen.where})"
    later = chosen.within(min(stop, horizon.day), chosen.end)
    if stop > horizon.day:
        later += f" AND {horizon.not_rolled_up}"
    return (
        f"({select} {BY_SPAN.table} WHERE span IN ({', '.join(map(str, spans))})"
        f" AND {chosen.whose}"
        f" UNION ALL {select} daily WHERE {chosen.within(chosen.first, begin)}"
        f" UNION ALL {select} daily WHERE {later})"
    )


def by_model(db: apsw.Connection, chosen: Chosen, columns: Sequence[str]) -> str:
    """A table of these columns of `daily`, not of its keys and tokens; `chosen` is of all."""
    select = f"SELECT {', '.join(columns)} FROM"
    horizon = _Horizon.read(db)
    if not horizon:
        return f"({select} daily WHERE {chosen.where})"
    rest = chosen.within(max(chosen.first, horizon.day), chosen.end)
    return (
        f"({select} {BY_MODEL.table} WHERE {chosen.where}"
        f" UNION ALL {select} daily WHERE {rest} AND {horizon.not_rolled_up})"
    )


def by_prompt(db: apsw.Connection, chosen: Chosen, where: str) -> str:
    """A table of PROMPTS, a row for each day, client key, group and model; `where` is about the
    model."""
    horizon = _Horizon.read(db) if chosen.token_id is None else None
    group = ", ".join(BY_PROMPT.group)
    sums = ", ".join(f"sum({name}) AS {name}" for name in PROMPTS)
    if not horizon:
        return (
            f"(SELECT {group}, {sums} FROM daily WHERE {chosen.where} AND ({where})"
            f" GROUP BY {group})"
        )
    rest = chosen.within(max(chosen.first, horizon.day), chosen.end)
    return (
        f"(SELECT {group}, {', '.join(PROMPTS)} FROM {BY_PROMPT.table} WHERE ({where})"
        f" AND day >= {chosen.first} AND day < {chosen.end} AND {chosen.whose}"
        f" UNION ALL SELECT {group}, {sums} FROM daily"
        f" WHERE {rest} AND {horizon.not_rolled_up} AND ({where}) GROUP BY {group})"
    )


class _Horizon(NamedTuple):
    """The day and the client key from which on nothing is rolled up, and the first day of all."""

    day: int
    key: int
    oldest: int

    @classmethod
    def read(cls, db: apsw.Connection) -> _Horizon | None:
        """None where nothing is rolled up, or where `daily` is a view of more than this host."""
        if run(db, "SELECT 1 FROM temp.sqlite_schema WHERE name = 'daily'"):
            return None
        ((day, key, oldest),) = run(
            db, "SELECT day, api_key_id, (SELECT min(day) FROM daily) FROM rollup_horizon"
        )
        return cls(day, key, oldest) if day and oldest is not None else None

    @property
    def not_rolled_up(self) -> str:
        return f"(day, api_key_id) >= ({self.day}, {self.key})"

    def spans(self, first: int, end: int) -> tuple[list[int], int, int]:
        """The years and months of which all that is rolled up is from the day `first` to before
        `end`; where they begin and end."""
        found: list[int] = []
        begin = stop = at = max(first, self.oldest)
        if first <= self.oldest:  # all that there is of its year
            at = day_number(numbered_day(at).replace(month=1, day=1))
        rolled_up = self.day + (self.key > 0)
        while at < rolled_up:
            day = numbered_day(at)
            year, month = day.replace(month=1, day=1), day.replace(day=1)
            next_year, next_month = (
                day_number(each) for each in (year.replace(year.year + 1), first_of_next_month(day))
            )
            if day == year and (next_year <= end or rolled_up <= end):
                name, after = year.year, next_year
            elif day == month and (next_month <= end or rolled_up <= end):
                name, after = year.year * 100 + day.month, next_month
            elif found:
                break
            else:
                at = next_month
                continue
            begin = begin if found else at
            found.append(name)
            at = stop = after
        return found, begin, stop
