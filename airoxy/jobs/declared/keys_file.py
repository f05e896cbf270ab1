"""A file of client keys and groups: what it says, and every mistake in it at once.

Invariant: it has no secret in it, and nothing in it means another thing tomorrow.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import yaml

from airoxy.config.document import Document, compose, compose_text, line_of
from airoxy.config.kinds import Switch, is_null, shown
from airoxy.core.limits.table import GROUP_LIMITS, LIMITS, Limit
from airoxy.core.limits.units import MOMENT
from airoxy.core.names import read_name, read_note
from airoxy.errors import InvalidInput
from airoxy.views.changes import visible

_NONE = "none"
_SPAN = re.compile(r"[0-9]+[hdwHDW]", re.ASCII)


@dataclass(frozen=True)
class Declared:
    """A key or a group: in which line it stands, and its fields by column. What it does not name
    has its default; `enabled` None leaves a key as it is, and a new one is enabled."""

    name: str
    line: int
    values: Mapping[str, Any]
    group: str | None = None
    group_line: int = 0
    enabled: bool | None = None


@dataclass
class KeysFile:
    """What a file says. A section that is not there is not its business: None."""

    document: Document
    groups: dict[str, Declared] | None = None
    keys: dict[str, Declared] | None = None


@dataclass(frozen=True)
class Field:
    """One that may stand there; `column` is where its value goes, and days are of a time zone."""

    name: str
    column: str
    read: Callable[[yaml.Node, tzinfo], Any]
    default: Any = None


@dataclass
class _Section:
    name: str
    noun: str
    fields: Mapping[str, Field]
    zone: tzinfo
    entries: dict[str, Declared] = field(default_factory=dict)


def _of_limit(limit: Limit) -> Field:
    default = limit.unit.unpack(None)

    def read(node: yaml.Node, zone: tzinfo) -> Any:
        text = _text(node, is_list=default == ())
        if not text or (limit.unit.has_none and text.lower() == _NONE):
            return default
        if limit.unit is MOMENT and _SPAN.fullmatch(text):
            raise InvalidInput(f"{text} would begin anew each time; give a date, like 2026-12-31")
        # The end of a key may be past, in a file that has been there for a while.
        return limit.unit.read(text, datetime.fromtimestamp(0, zone))

    return Field(limit.word, limit.column, read, default)


def _read_word(read: Callable[[str], str]) -> Callable[[yaml.Node, tzinfo], str | None]:
    def read_node(node: yaml.Node, _: tzinfo) -> str | None:
        text = _text(node)
        return None if not text or text.lower() == _NONE else read(text)

    return read_node


def _text(node: yaml.Node, *, is_list: bool = False) -> str:
    """A value as it was written; a list with commas."""
    if is_null(node):
        return ""
    if is_list and isinstance(node, yaml.SequenceNode):
        return ",".join(map(_text, node.value))
    if not isinstance(node, yaml.ScalarNode):
        raise InvalidInput(f"{shown(node)} cannot stand here")
    return str(node.value).strip()


def _by_name(fields: Iterable[Field]) -> dict[str, Field]:
    return {each.name: each for each in fields}


_NOTE = Field("note", "note", _read_word(read_note))
GROUP_FIELDS = _by_name((_NOTE, *map(_of_limit, GROUP_LIMITS)))
KEY_FIELDS = _by_name((
    _NOTE,
    Field("group", "group", _read_word(read_name)),
    Field("pool", "pool", _read_word(read_name)),
    Field("enabled", "enabled", lambda node, _: None if is_null(node) else Switch().read(node)),
    *map(_of_limit, LIMITS),
))  # fmt: skip


def read_keys_file(path: Path, zone: tzinfo) -> KeysFile:
    """Read it; days are of `zone`, the mistakes are in its document. Raises FileNotFoundError."""
    document = Document(path)
    return _read(document, compose(document), zone)


def read_keys_text(data: bytes, zone: tzinfo) -> KeysFile:
    """The same of what was sent instead of a file; mistakes call it the body."""
    document = Document(Path("body"))
    return _read(document, compose_text(document, data), zone)


def _read(document: Document, root: yaml.Node | None, zone: tzinfo) -> KeysFile:
    found = KeysFile(document)
    if root is None or is_null(root):
        if not found.document.mistakes:
            found.document.complain(None, None, "is empty; `airoxy export` writes such a file")
        return found
    if not isinstance(root, yaml.MappingNode):
        found.document.complain(line_of(root), None, "is not a mapping; write groups: and keys:")
        return found
    sections = {
        "groups": _Section("groups", "group", GROUP_FIELDS, zone),
        "keys": _Section("keys", "key", KEY_FIELDS, zone),
    }
    for name, line, node in _members(found.document, root, "", sections):
        _read_section(found.document, sections[name], node, line)
        setattr(found, name, sections[name].entries)
    return found


def _members(
    document: Document, node: yaml.MappingNode, place: str, known: Iterable[str] | None
) -> Iterable[tuple[str, int, yaml.Node]]:
    """Name, line and value of what stands in a mapping, less the mistakes. Where `known` is None,
    the names are names of keys."""
    first: dict[str, int] = {}
    for name_node, value in node.value:
        line = line_of(name_node)
        if not isinstance(name_node, yaml.ScalarNode):
            document.complain(line, place or None, f"{shown(name_node)} is no name")
            continue
        name = str(name_node.value).strip()
        where = visible(f"{place}.{name}" if place else name)
        if known is None:
            try:
                name = read_name(name)
            except InvalidInput as error:
                document.complain(line, where, error.message)
                continue
        elif name not in known:
            document.complain(line, where, f"there is no such field; {_nearest(name, known)}")
            continue
        if name in first:
            document.complain(line, where, f"stands here again, first in line {first[name]}")
            continue
        first[name] = line
        yield name, line, value


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _read_section(document: Document, section: _Section, node: yaml.Node, line: int) -> None:
    if is_null(node):
        text = f"is empty; write {section.name}: {{}} where there are to be none"
        return document.complain(line, section.name, text)
    if not isinstance(node, yaml.MappingNode):
        text = f"{shown(node)} cannot stand here; write each {section.noun}'s name, indented"
        return document.complain(line, section.name, text)
    for name, at, value in _members(document, node, section.name, None):
        section.entries[name] = _read_entry(document, section, name, at, value)
    return None


def _read_entry(
    document: Document, section: _Section, name: str, line: int, node: yaml.Node
) -> Declared:
    values = {each.column: each.default for each in section.fields.values()}
    group_line, place = line, f"{section.name}.{name}"
    if isinstance(node, yaml.MappingNode):
        for key, at, value in _members(document, node, place, section.fields):
            where = visible(f"{place}.{key}")
            group_line = at if key == "group" else group_line
            try:
                values[section.fields[key].column] = section.fields[key].read(value, section.zone)
            except InvalidInput as error:
                document.complain(at, where, visible(error.message))
            except ValueError as error:
                document.complain(at, where, f"{shown(value)} {error}")
    elif not is_null(node):
        document.complain(line, visible(place), f"{shown(node)} cannot stand here; write fields")
    group, enabled = values.pop("group", None), values.pop("enabled", None)
    return Declared(name, line, values, group, group_line, enabled)
