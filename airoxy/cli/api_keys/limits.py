"""The limits of a client key, as they are typed, and as they are shown beside what is used."""

from __future__ import annotations

import datetime
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airoxy.calendar import day_of
from airoxy.cli.formats import short
from airoxy.core.billing.money import exact_dollars, nanousd
from airoxy.errors import InvalidInput
from airoxy.store import limits

if TYPE_CHECKING:
    import apsw

NONE = "none"
#: More is no limit; it keeps every sum within the shared memory's words.
_MOST = 1_000_000_000
_NOTE_LENGTH = 200
_MODEL = re.compile(r"[A-Za-z0-9._:@/\[\]*?-]{1,100}")

Row = Mapping[str, Any]


def add_arguments(parser: ArgumentParser, *, new: bool) -> None:
    """The options for what may be limited; `new`: there is no limit yet that could go."""
    without = "" if new else f"; `{NONE}` takes it away"
    for option, metavar, told in (
        ("--spend-per-day", "USD", "dollars that may be spent in a day, UTC"),
        ("--spend-per-month", "USD", "dollars that may be spent in a calendar month, UTC"),
        ("--requests-per-minute", "N", "requests in any sixty seconds"),
        ("--tokens-per-minute", "N", "tokens in any sixty seconds, but those read from the cache"),
        ("--concurrent", "N", "requests that may run at the same time"),
        ("--models", "GLOBS", "the only models, such as 'claude-haiku-*,claude-sonnet-5'"),
        ("--expires", "DATE", "the last day of the key, UTC, or the moment: 2026-12-31T18:00"),
        ("--note", "TEXT", "what to remember of the key"),
    ):
        parser.add_argument(option, metavar=metavar, help=told + without)


def changes(args: Namespace, now: float) -> dict[str, Any]:
    """What the options say, by column. Raises InvalidInput."""
    found = {}
    for option, column, read in (
        ("spend_per_day", "spend_per_day_nanousd", _money),
        ("spend_per_month", "spend_per_month_nanousd", _money),
        ("requests_per_minute", "requests_per_minute", _count),
        ("tokens_per_minute", "tokens_per_minute", _count),
        ("concurrent", "concurrent_requests", _count),
        ("models", "models", _models),
        ("expires", "expires_at", lambda text: _expiry(text, now)),
        ("note", "note", _note),
    ):
        text = getattr(args, option)
        if text is None:
            continue
        try:
            found[column] = None if text.strip().lower() == NONE else read(text.strip())
        except InvalidInput as error:
            raise InvalidInput(f"--{option.replace('_', '-')}: {error.message}.") from None
    return found


def _money(text: str) -> int:
    if text.startswith("-"):
        raise InvalidInput(f"{text} is less than nothing; give dollars, such as 5 or 2.50")
    return _above_nothing(nanousd(text))


def _count(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", text, re.ASCII):
        raise InvalidInput(f"{text!r} is no whole number")
    number = int(text[:30])
    if number < 0:
        raise InvalidInput(f"{text} is less than nothing; give a whole number from 1 on")
    if number > _MOST:
        raise InvalidInput(f"{text} is more than {_MOST:,}; leave the limit out")
    return _above_nothing(number)


def _above_nothing(number: int) -> int:
    if number == 0:
        raise InvalidInput("0 would let nothing through; `airoxy api-key toggle ID` turns it off")
    return number


def _models(text: str) -> tuple[str, ...]:
    globs = tuple(dict.fromkeys(re.split(r"[,\s]+", text.strip(", "))))
    for glob in globs:
        if not _MODEL.fullmatch(glob):
            raise InvalidInput(
                f"{glob!r} is no model's name; write it like claude-haiku-4-5, or claude-haiku-*"
            )
    return globs


def _expiry(text: str, now: float) -> int:
    """A day is the key's last; a moment is the first without it."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            day = datetime.datetime.fromisoformat(f"{text}T00:00+00:00")
            when = day + datetime.timedelta(1)
        else:
            when = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text!r} is no date; write it like 2026-12-31") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    if when.timestamp() <= now:
        raise InvalidInput(f"{text} is past; `airoxy api-key toggle ID` turns a key off at once")
    return int(when.timestamp())


def _note(text: str) -> str:
    if not text or len(text) > _NOTE_LENGTH or not text.isprintable():
        raise InvalidInput(f"a note is 1 to {_NOTE_LENGTH} printable characters")
    return text


# What is used


def with_use(db: apsw.Connection, key: Row, now: float) -> dict[str, Any]:
    """The key with what it has used of what may be limited, as far as the account has it."""
    today = day_of(now)
    spent = limits.spent(db, key["id"], today)
    minute = limits.last_minute(db, key["id"], now)
    return {
        **key,
        "spent_today_nanousd": spent.today,
        "spent_this_month_nanousd": spent.this_month,
        "requests_last_minute": sum(second.requests for second in minute),
        "tokens_last_minute": sum(second.tokens for second in minute),
    }


class Meter(NamedTuple):
    """A limit and what is used of it; `name` says what it limits."""

    name: str
    used: str
    limit: str
    share: float


def meters(key: Row) -> list[Meter]:
    """Those of the key's limits of which use can be told, of a key `with_use`."""
    written: Callable[[int], str]
    found = []
    for name, used, limit, written in (
        ("today", "spent_today_nanousd", "spend_per_day_nanousd", exact_dollars),
        ("this month", "spent_this_month_nanousd", "spend_per_month_nanousd", exact_dollars),
        ("requests a minute", "requests_last_minute", "requests_per_minute", str),
        ("tokens a minute", "tokens_last_minute", "tokens_per_minute", short),
    ):
        if key[limit] is not None:
            share = key[used] / key[limit]
            found.append(Meter(name, written(key[used]), written(key[limit]), share))
    return found


def state(key: Row, now: float) -> str:
    """Whether the key is let in."""
    if not key["is_active"]:
        return "disabled"
    return "expired" if key["expires_at"] is not None and key["expires_at"] <= now else "active"
