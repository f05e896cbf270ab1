"""Limits in the forms of keys, groups and tokens: what is in a field, and what was typed in it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from airoxy.core.limits.table import Limit
from airoxy.core.limits.token_settings import SETTINGS
from airoxy.core.limits.units import MONEY
from airoxy.core.names import read_name, read_note
from airoxy.errors import InvalidInput, NotFound


class FormField(NamedTuple):
    """An input of a form."""

    name: str
    label: str
    help: str
    text: str


def number_of(text: str, what: str) -> int:
    """The id in a path. Raises NotFound."""
    if not re.fullmatch(r"[0-9]{1,17}", text, re.ASCII):
        raise NotFound(f"There is no such {what}.")
    return int(text)


def limit_fields(limits: Iterable[Limit], row: Mapping[str, Any] | None = None) -> list[FormField]:
    """The limits of `row` as they are typed; without a row they are empty."""
    found = []
    for limit in limits:
        value = row[limit.column] if row else None
        text = limit.unit.write(value) if value else ""
        found.append(FormField(limit.name, limit.option[2:].replace("-", " "), limit.help, text))
    return found


def read_limits(
    limits: Iterable[Limit], form: Mapping[str, str], now: datetime.datetime
) -> dict[str, Any]:
    """What was typed, by column; an empty field takes the limit away, and one that the form does
    not have is left as it is. Raises InvalidInput."""
    found: dict[str, Any] = {}
    for limit in limits:
        if limit.name not in form:
            continue
        text = form[limit.name].strip()
        if not text:
            found[limit.column] = None if limit.unit.has_none else limit.unit.unpack(None)
            continue
        try:
            found[limit.column] = limit.unit.read(text, now)
        except InvalidInput as error:
            raise InvalidInput(f"{limit.label}: {error.message}.") from None
    return found


def read_texts(form: Mapping[str, str], *, pool: bool = True) -> dict[str, Any]:
    """Name, note and pool, as far as the form has them. Raises InvalidInput."""
    found: dict[str, Any] = {}
    readers = {"name": read_name, "note": read_note} | ({"pool": read_name} if pool else {})
    for name, read in readers.items():
        if name not in form:
            continue
        text = form[name].strip()
        if not text and name != "name":
            found[name] = None
            continue
        try:
            found[name] = read(text)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error.message}.") from None
    return found


def read_token_settings(form: Mapping[str, str], now: datetime.datetime) -> dict[str, Any]:
    """What was typed of a token's settings, by column. Raises InvalidInput."""
    found: dict[str, Any] = {}
    for name, column, read in SETTINGS:
        if name not in form:
            continue
        text = form[name].strip()
        try:
            found[column] = read(text, now) if text else 0 if column == "priority" else None
        except InvalidInput as error:
            raise InvalidInput(f"{name.replace('_', ' ')}: {error.message}.") from None
    return found


def token_fields(row: Mapping[str, Any]) -> list[FormField]:
    """A token's settings as they are typed."""
    found = []
    for name, column, _ in SETTINGS:
        value = row[column]
        text = "" if value is None else str(value)
        if value is not None and column.endswith("_nanousd"):
            text = MONEY.write(value)
        found.append(FormField(name, name.replace("_", " "), "", text))
    return found
