"""Values of limits and settings as JSON and forms have them, read as the commands read theirs."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import apsw

from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.limits.table import GROUP_LIMITS, LIMITS, Limit
from airoxy.core.limits.token_settings import SETTINGS
from airoxy.core.limits.units import COUNT, MONEY
from airoxy.core.names import read_name, read_note
from airoxy.errors import InvalidInput
from airoxy.store.names import find_id

Read = Callable[[str, Any], Any]

_TEXTS = ("name", "note", "pool")

_LIMITS = {limit.column: limit for limit in LIMITS}
_GROUP_LIMITS = {limit.column: limit for limit in GROUP_LIMITS}
#: What may be given of a key, and what each is.
KEY_FIELDS = {
    "name": "whom it is for",
    "note": "a note about it",
    "pool": "the pool whose tokens it uses; null for all",
    "group": "the group that it is in (id or name); null for none",
    **{column: f"its limit: {limit.help}; null for none" for column, limit in _LIMITS.items()},
}
GROUP_FIELDS = {
    "name": "what it is called",
    "note": "a note about it",
    **{
        column: f"the limit of its keys together: {limit.help}; null for none"
        for column, limit in _GROUP_LIMITS.items()
    },
}
TOKEN_FIELDS = {
    "name": "what it is called",
    "note": "a note about it",
    "priority": "of the tokens that are ready those with the highest are used",
    "pool": "the pool that it belongs to; null for none",
    "spend_per_day_nanousd": "its limit of a day, in billionths of a dollar; null for none",
    "spend_per_month_nanousd": "its limit of a month, in billionths of a dollar; null for none",
    "concurrent_requests": "how many requests may run with it at once; null for any number",
}


def key_changes(
    db: apsw.Connection, given: Mapping[str, Any], now: datetime.datetime
) -> dict[str, Any]:
    """Columns and values of what is given of a key. Raises InvalidInput, NotFound."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _LIMITS:
            found[name] = limit_value(_LIMITS[name], value, now, name)
        elif name == "group":
            found["group_id"] = _group(db, value)
        else:
            found[name] = text_value(name, value)
    return found


def _group(db: apsw.Connection, value: Any) -> int | None:
    if value in (None, ""):
        return None
    number = find_id(db, "groups", str(value))
    if number == EVERYBODY:
        raise InvalidInput("group: every key is in the group of all keys anyway.")
    return number


def limit_value(limit: Limit, value: Any, now: datetime.datetime, name: str) -> Any:
    """A limit, which an error calls `name`. Raises InvalidInput."""
    if value in (None, "") and not limit.unit.has_none:
        raise InvalidInput(f"{name} cannot be null.")
    unit = limit.unit
    return _read(name, value, unit.read, now, number=unit in (MONEY, COUNT), money=unit is MONEY)


def text_value(name: str, value: Any) -> Any:
    """A name, a note or a pool. Raises InvalidInput."""
    read = read_note if name == "note" else read_name
    if name == "name" and value is None:
        raise InvalidInput("name has to be text.")
    if name == "name" and value == "":
        value = " "  # which is no name, and not none at all
    return _read(name, value, lambda text, _: read(text), None)


def group_changes(given: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """The same of a group."""
    return {
        name: limit_value(_GROUP_LIMITS[name], value, now, name)
        if name in _GROUP_LIMITS
        else text_value(name, value)
        for name, value in given.items()
    }


def token_changes(given: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """The same of an upstream token."""
    return {
        name: text_value(name, value) if name in _TEXTS else setting_value(name, value, now, name)
        for name, value in given.items()
    }


def setting_value(column: str, value: Any, now: datetime.datetime, name: str) -> Any:
    """A setting of an upstream token, which an error calls `name`. Raises InvalidInput."""
    read = next(read for _, known, read in SETTINGS if known == column)
    money = column.endswith("_nanousd")
    found = _read(name, value, read, now, number=column not in _TEXTS, money=money)
    return 0 if found is None and column == "priority" else found


def _read(
    name: str, value: Any, read: Read, now: Any, *, number: bool = False, money: bool = False
) -> Any:
    """Null and "" take it away; numbers of money are billionths of a dollar, its texts dollars."""
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | list):
        raise InvalidInput(f"{name}: {value!r} cannot be meant.")
    if isinstance(value, int) and not number:
        raise InvalidInput(f"{name} has to be text.")
    if isinstance(value, int) and money:
        if not 0 < value < 10**18:
            raise InvalidInput(f"{name}: {value} is no amount; give billionths of a dollar.")
        return value
    if isinstance(value, list):
        if not all(isinstance(each, str) for each in value):
            raise InvalidInput(f"{name} has to be a list of texts.")
        value = ",".join(value)
    try:
        return read(str(value).strip(), now)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.message}.") from None
