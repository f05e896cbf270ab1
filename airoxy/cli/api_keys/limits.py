"""The limits of a client key, as options and as they are shown beside what is used of them."""

from __future__ import annotations

import datetime
import difflib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from airoxy.cli.command import Context
from airoxy.core.limits.globs import matches
from airoxy.core.limits.table import LIMITS, Limit
from airoxy.core.names import read_name, read_note
from airoxy.errors import ConfigError, InvalidInput

NONE = "none"

Row = Mapping[str, Any]


def add_arguments(parser: ArgumentParser, *, new: bool) -> None:
    """An option for each limit; `new`: there is none yet that could be taken away."""
    without = "" if new else f"; `{NONE}` takes it away"
    for limit in LIMITS:
        told = limit.help + (without if limit.unit.has_none else "")
        parser.add_argument(limit.option, metavar=limit.metavar, help=told)
    parser.add_argument("--note", metavar="TEXT", help="what to remember of the key" + without)
    parser.add_argument(
        "--pool",
        metavar="NAME",
        help="use only the tokens of this pool" + without,
    )


def changes(args: Namespace, now: datetime.datetime) -> dict[str, Any]:
    """What the options say, by column. Raises InvalidInput."""
    options = [(each.option, each.column, each.unit.read, each.unit.has_none) for each in LIMITS]
    found = {}
    also = (("--note", "note", _note, True), ("--pool", "pool", _pool, True))
    for option, column, read, has_none in (*options, *also):
        text = getattr(args, option[2:].replace("-", "_"))
        if text is None:
            continue
        try:
            gone = has_none and text.strip().lower() == NONE
            found[column] = None if gone else read(text.strip(), now)
        except InvalidInput as error:
            raise InvalidInput(f"{option}: {error.message}.") from None
    return found


def warn_of_unknown_models(context: Context, changes: Row) -> None:
    """A glob that no known model matches is probably written wrong."""
    globs = changes.get("models")
    if not globs:
        return
    try:
        table = context.config.pricing
    except ConfigError:
        return
    for glob in globs:
        known = dict.fromkeys(name for name, _ in table.prices)
        if not any(matches((glob,), name) for name in known) and not table.knows(
            glob, context.today()
        ):
            near = difflib.get_close_matches(glob, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            context.warn(f"Warning: no model that airoxy knows matches {glob}{hint}")


def _pool(text: str, _: datetime.datetime) -> str:
    return read_name(text)


def _note(text: str, _: datetime.datetime) -> str:
    return read_note(text)


def facts(key: Row, zone: datetime.tzinfo) -> Iterator[tuple[str, str]]:
    """The limits of which no use is told, each with its label."""
    for limit in LIMITS:
        if (limit.measure is None or not limit.measure.field) and (
            text := _shown(limit, key, zone)
        ):
            yield limit.label, text


def options(key: Row) -> list[str]:
    """The options by which another key gets the same limits and note."""
    words = []
    for limit in LIMITS:
        value = key[limit.column]
        if value and value != limit.unit.unpack(None):
            words += [limit.option, limit.unit.write(value)]
    for column in ("note", "pool"):
        if key[column]:
            words += [f"--{column}", key[column]]
    return words


def _shown(limit: Limit, key: Row, zone: datetime.tzinfo) -> str:
    value = key[limit.column]
    return limit.unset if value is None else limit.text.format(limit.unit.show(value, zone))
