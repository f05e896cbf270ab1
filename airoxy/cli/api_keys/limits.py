"""The limits of client keys and groups, as options and as they are shown beside what is used of
them."""

from __future__ import annotations

import datetime
import difflib
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import Argument, argument
from airoxy.config.defaults import NONE
from airoxy.core.limits.globs import matches
from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.limits.table import GROUP_LIMITS, LIMITS, Limit
from airoxy.core.names import read_name, read_note
from airoxy.errors import ConfigError, InvalidInput
from airoxy.views.formats import bar
from airoxy.views.keys import meters

#: How wide a full limit is drawn, in a list and for one key or group.
_SHORT_BAR, _LONG_BAR = 10, 24

Row = Mapping[str, Any]


class Option(NamedTuple):
    """What can be set by an option, which is stored in `column`."""

    option: str
    metavar: str
    help: str
    column: str
    read: Callable[[str, datetime.datetime], Any]
    has_none: bool = True
    #: The value that `none` stands for.
    nothing: Any = None


def _of(limits: Iterable[Limit], *more: Option) -> tuple[Option, ...]:
    found = (
        Option(
            each.option, each.metavar, each.help, each.column, each.unit.read, each.unit.has_none
        )
        for each in limits
    )
    return (*found, *more)


def _by(read: Callable[[str], str]) -> Callable[[str, datetime.datetime], str]:
    return lambda text, _: read(text)


OF_KEYS = _of(
    LIMITS,
    Option("--note", "TEXT", "a note about the key", "note", _by(read_note)),
    Option("--pool", "NAME", "use only the tokens of this pool", "pool", _by(read_name)),
    Option(
        "--group", "NAME", "the group that the key is in (id or name)", "group_id", _by(read_name)
    ),
)
OF_GROUPS = _of(
    GROUP_LIMITS, Option("--note", "TEXT", "a note about the group", "note", _by(read_note))
)


def arguments(options: Iterable[Option] = OF_KEYS, *, new: bool) -> Iterator[Argument]:
    """These options; `new`: there is nothing yet that could be taken away."""
    without = "" if new else f"; `{NONE}` takes it away"
    for each in options:
        yield argument(
            each.option,
            each.metavar,
            each.help + without * (each.has_none and each.nothing is None),
        )


def changes(
    args: Namespace, now: datetime.datetime, options: Iterable[Option] = OF_KEYS
) -> dict[str, Any]:
    """What the options say, by column. Raises InvalidInput."""
    found = {}
    for each in options:
        text = getattr(args, each.option[2:].replace("-", "_"))
        if text is None:
            continue
        try:
            gone = each.has_none and text.strip().lower() == NONE
            found[each.column] = each.nothing if gone else each.read(text.strip(), now)
        except InvalidInput as error:
            raise InvalidInput(f"{each.option}: {error.message}.") from None
    return found


def to_set(context: Context, args: Namespace, changes: dict[str, Any]) -> dict[str, Any]:
    """These, and the name if that is to be another. Raises InvalidInput where nothing is to be
    changed."""
    if args.name is not None:
        changes["name"] = args.name
    if not changes:
        raise InvalidInput(f"Say what to change: `airoxy {context.command} --help` lists it.")
    return changes


def of_key(context: Context, args: Namespace) -> dict[str, Any]:
    """What the options of a key say, with the group's id for its name. Raises InvalidInput,
    NotFound."""
    found = changes(args, context.moment())
    if found.get("group_id") is not None:
        found["group_id"] = context.group_id(found["group_id"])
        if found["group_id"] == EVERYBODY:
            raise InvalidInput("--group: every key is in the group of all keys anyway.")
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


def facts(
    row: Row, zone: datetime.tzinfo, limits: Iterable[Limit] = LIMITS
) -> Iterator[tuple[str, str]]:
    """The limits of a key or group of which no use is told, each with its label."""
    for limit in limits:
        if (limit.measure is None or not limit.measure.field) and (
            text := _shown(limit, row, zone)
        ):
            yield limit.label, text


def options(key: Row) -> list[str]:
    """The options by which another key gets the same limits and note."""
    words = []
    for limit in LIMITS:
        value = key[limit.column]
        if value and value != limit.unit.unpack(None):
            words += [limit.option, limit.unit.write(value)]
    for option, column in (("--note", "note"), ("--pool", "pool"), ("--group", "group_name")):
        if key[column]:
            words += [option, key[column]]
    return words


def tightest(context: Context, row: Row) -> str:
    """The limit of which a key or group has used most."""
    found = max(meters(row, context.zone), key=lambda meter: meter.share, default=None)
    if found is None:
        return "-"
    drawn = bar(min(1, found.share), _SHORT_BAR, context.out)
    return f"{drawn:<{_SHORT_BAR}} {found.share:>4.0%}  {found.used} of {found.limit} {found.name}"


def say_meters(context: Context, row: Row) -> None:
    """A table of the limits of which the use is told, where there are any."""
    if not (found := meters(row, context.zone)):
        return
    context.say()
    context.table(
        (
            (name, used, limit, f"{share:.0%}", bar(min(1, share), _LONG_BAR, context.out))
            for name, used, limit, share, _ in found
        ),
        ("LIMIT", "USED", "OF", "SHARE", ""),
        right=("USED", "OF", "SHARE"),
    )


def _shown(limit: Limit, key: Row, zone: datetime.tzinfo) -> str:
    value = key[limit.column]
    return limit.unset if value is None else limit.text.format(limit.unit.show(value, zone))
