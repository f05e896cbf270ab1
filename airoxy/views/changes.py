"""Changes of keys and tokens in words, for the audit trail, the journal and previews."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, NamedTuple

from airoxy.core.billing.money import exact_dollars
from airoxy.core.limits.table import LIMITS
from airoxy.core.limits.units import moment
from airoxy.store.audit.trail import AuditEntry
from airoxy.views.times import rfc3339

_LIMITS = {limit.column: limit for limit in LIMITS}
_MONEY = "_nanousd"
_NAMES = {"is_active": "enabled", "group_name": "group"}
#: What the action says already.
_IMPLIED = {
    "added": ("name", "is_active"),
    "enabled": ("is_active", "inactive_reason"),
    "disabled": ("is_active",),
}


class FieldChange(NamedTuple):
    """A field's name as people type it, and what it was and is, in words."""

    field: str
    before: str
    after: str


def field_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[FieldChange]:
    """How columns have changed, of which each side may name some."""
    sides = ({}, {}) if after is None else (before or {}, after)
    return [
        FieldChange(_field(column), *(_shown(column, side.get(column)) for side in sides))
        for column in {**sides[0], **sides[1]}
    ]


def in_words(action: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What has become of the fields, in one line that a terminal takes for nothing else."""
    return ", ".join(_phrases(action, before, after))


def _phrases(
    action: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[str]:
    implied = {_field(column) for column in _IMPLIED.get(action, ())}
    for field, old, new in field_changes(before, after):
        if field not in implied:
            yield f"{field} {new}" if action == "added" else f"{field} {old} → {new}"


def _field(column: str) -> str:
    limit = _LIMITS.get(column)
    return limit.word if limit else _NAMES.get(column, column.removesuffix(_MONEY))


def _shown(column: str, value: Any) -> str:
    if value is None or value == () or value == []:
        return "none"
    if column in _LIMITS:
        unit = _LIMITS[column].unit
        return visible(unit.show(unit.unpack(value), UTC))
    if column.endswith(_MONEY):
        return exact_dollars(value)
    if column == "old_secret_until":
        return moment(value)
    if column == "is_active":
        return "yes" if value else "no"
    return quoted(value) if isinstance(value, str) else str(value)


def visible(text: str) -> str:
    """The text with whatever does not show, or turns a line round, as its code."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def quoted(text: str) -> str:
    """The text, with quotation marks where it would not be seen where it ends."""
    shown = visible(text)
    plain = shown == text and text and not set(text) & set(' ",→')
    return text if plain else f'"{visible(text.replace(chr(34), chr(92) + chr(34)))}"'


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1]


def by(entry: AuditEntry) -> str:
    """Who, and by what."""
    return visible(f"{entry.actor} ({entry.via})" if entry.via else entry.actor)


def line(entry: AuditEntry) -> str:
    """The entry for the journal."""
    words = in_words(entry.action, entry.before, entry.after)
    what = f"{entry.kind} {entry.subject} ({quoted(entry.name)}) {entry.action}"
    return f"{by(entry)}: {what}{words and ': ' + words}"


def document(entry: AuditEntry) -> dict[str, Any]:
    """The entry as JSON has it."""
    fields = entry._asdict() | {"at": rfc3339(entry.at / 1000)}
    return {"subject_id" if name == "subject" else name: fields[name] for name in fields}
