"""Limits in the forms of keys, groups and tokens: what is in a field, and what was typed in it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from airoxy.console.api.values import limit_value, setting_value, text_value
from airoxy.core.limits.table import Limit
from airoxy.core.limits.token_settings import SETTINGS
from airoxy.core.limits.units import MONEY
from airoxy.errors import NotFound


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
    """The limits of `row` as they are typed; what it does not have is empty."""
    found = []
    for limit in limits:
        value = row.get(limit.column) if row else None
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
        if text or limit.unit.has_none:
            found[limit.column] = limit_value(limit, text, now, limit.label)
        else:
            found[limit.column] = limit.unit.unpack(None)
    return found


def read_texts(form: Mapping[str, str], *, pool: bool = True) -> dict[str, Any]:
    """Name, note and pool, as far as the form has them. Raises InvalidInput."""
    names = ("name", "note", "pool") if pool else ("name", "note")
    return {name: text_value(name, form[name].strip()) for name in names if name in form}


def read_token_settings(form: Mapping[str, str], now: datetime.datetime) -> dict[str, Any]:
    """What was typed of a token's settings, by column. Raises InvalidInput."""
    return {
        column: setting_value(column, form[name].strip(), now, name.replace("_", " "))
        for name, column, _ in SETTINGS
        if name in form
    }


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
