"""How the values of limits are typed, stored and shown."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airoxy.core.billing.money import exact_dollars, nanousd
from airoxy.core.limits import sharing
from airoxy.errors import InvalidInput

#: A larger number is no limit; this one keeps every sum within the words of the shared memory.
_MOST = 1_000_000_000
_SPAN = re.compile(r"([0-9]{1,4})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 86400, "w": 604800}
_PATH = re.compile(r"/v1/[A-Za-z0-9._~!$&'()+=:@/\[\]*?-]{1,200}")
_MODEL = re.compile(r"[A-Za-z0-9._:@/\[\]*?-]{1,100}")


@dataclass(frozen=True, slots=True)
class Unit:
    """`read` makes a value of what was typed at a moment, in its time zone, or raises InvalidInput
    without a full stop; `show` makes text of a value for people of a time zone, and `write` what
    `read` takes; `pack` and `unpack` lead to the database and back."""

    read: Callable[[str, datetime.datetime], Any]
    show: Callable[[Any, datetime.tzinfo], str]
    write: Callable[[Any], str]
    #: The end of the column's name.
    suffix: str = ""
    pack: Callable[[Any], Any] = lambda value: value
    unpack: Callable[[Any], Any] = lambda value: value
    #: Whether "none" takes the limit away, and is not one of its values.
    has_none: bool = True


def moment(when: float, zone: datetime.tzinfo = datetime.UTC) -> str:
    """A Unix time as people are told it."""
    return datetime.datetime.fromtimestamp(when, zone).strftime("%Y-%m-%d %H:%M %Z")


def _money(text: str, _: datetime.datetime) -> int:
    if text.startswith("-"):
        raise InvalidInput(f"{text} is less than nothing; give dollars, such as 5 or 2.50")
    return _above_nothing(nanousd(text))


def _count(text: str, _: datetime.datetime) -> int:
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


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.split(r"[,\s]+", text.strip(", "))))


def _models(text: str, _: datetime.datetime) -> tuple[str, ...]:
    globs = _words(text)
    for glob in globs:
        if not _MODEL.fullmatch(glob):
            raise InvalidInput(
                f"{glob!r} is no model's name; write it like claude-haiku-4-5, or claude-haiku-*"
            )
    return globs


def _paths(text: str, _: datetime.datetime) -> tuple[str, ...]:
    globs = _words(text)
    for glob in globs:
        if not _PATH.fullmatch(glob):
            raise InvalidInput(f"{glob!r} is no path of the API; write it like /v1/agents*")
    return globs


def _networks(text: str, _: datetime.datetime) -> tuple[str, ...]:
    return tuple(map(_network, _words(text)))


def _network(text: str) -> str:
    import ipaddress  # where there is one to read

    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no network; write it like 192.0.2.0/24 or 2001:db8::7"
        ) from None


def _end(text: str, now: datetime.datetime) -> int:
    """The first second at which a key no longer works: of a day, the one after it."""
    if span := _SPAN.fullmatch(text.lower()):
        return _above_nothing(int(span[1])) * _SECONDS[span[2]] + int(now.timestamp())
    try:
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError:
            when = datetime.datetime.fromisoformat(text)
        else:
            day += datetime.timedelta(1)
            when = datetime.datetime.combine(day, datetime.time(), now.tzinfo)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text!r} is no date; write it like 2026-12-31, or 30d") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=now.tzinfo)
    if when <= now:
        raise InvalidInput(f"{text} is past; `airoxy api-key toggle ID` turns a key off at once")
    return int(when.timestamp())


def _packed(words: tuple[str, ...]) -> str | None:
    return " ".join(words) or None


def _unpacked(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").split())


def _plain_dollars(amount: int) -> str:
    return exact_dollars(amount).strip("$").replace(",", "")


def _iso(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.UTC).isoformat()


def _sharing(text: str, _: datetime.datetime) -> str:
    if text.lower() not in sharing.CHOICES:
        raise InvalidInput(f"{text!r} is none of {', '.join(sharing.CHOICES)}")
    return text.lower()


def _listed(words: tuple[str, ...], _: datetime.tzinfo) -> str:
    return ", ".join(words)


MONEY = Unit(_money, lambda amount, _: exact_dollars(amount), _plain_dollars, suffix="_nanousd")
COUNT = Unit(_count, lambda count, _: f"{count:,}", str)
MODELS = Unit(_models, _listed, ",".join, pack=_packed, unpack=_unpacked)
NETWORKS = Unit(_networks, _listed, ",".join, pack=_packed, unpack=_unpacked)
PATHS = Unit(_paths, _listed, ",".join, pack=_packed, unpack=_unpacked)
SHARING = Unit(
    _sharing,
    lambda choice, _: str(choice),
    str,
    pack=lambda choice: None if choice == sharing.GROUP else choice,
    unpack=sharing.choice,
    has_none=False,
)
MOMENT = Unit(_end, moment, _iso)
