"""The arguments of commands: what each is called, how it is read, and its help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from airoxy.core.names import read_name
from airoxy.errors import InvalidInput
from airoxy.views.times import UNITS

T = TypeVar("T")
#: Adds itself to a parser, or to a group of one.
Argument = Callable[[Any], object]


def argument(name: str, metavar: str | None, text: str, **given: Any) -> Argument:
    """A word, or an option with a value; `text` is its help, the rest as in argparse."""
    return lambda parser: parser.add_argument(name, metavar=metavar, help=text, **given)


def flag(name: str, text: str, *short: str) -> Argument:
    """An option without a value."""
    return lambda parser: parser.add_argument(*short, name, action="store_true", help=text)


def choice(name: str, words: Iterable[str], text: str, default: str | None = None) -> Argument:
    """An option whose value is one of these words."""
    return lambda parser: parser.add_argument(name, choices=words, default=default, help=text)


def either(*arguments: Argument) -> Argument:
    """Options of which one may be given."""

    def add(parser: argparse.ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group()
        for each in arguments:
            each(group)

    return add


def words(**named: str) -> Argument:
    """Words each of which may be left out: what they are called, and their help."""

    def add(parser: argparse.ArgumentParser) -> None:
        for number, (metavar, text) in enumerate(named.items()):
            parser.add_argument(f"word{number}", metavar=metavar, nargs="?", help=text)

    return add


def given_words(args: argparse.Namespace) -> list[str]:
    """Those that were given, in their order."""
    found = (getattr(args, f"word{number}", None) for number in range(4))
    return [word for word in found if word is not None]


def limit(text: str) -> Argument:
    """How many rows to show: 50 where it is not said."""
    return lambda parser: parser.add_argument(
        "-n", "--limit", type=_count, default=50, metavar="N", help=f"{text} (default: %(default)s)"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10**9:
        raise argparse.ArgumentTypeError("a number from 1 on")
    return int(text)


def name_argument(text: str) -> str:
    """A name for a key or token."""
    return checked(read_name, text)


def typed_name(text: str) -> str:
    """The same of what was not typed for argparse. Raises InvalidInput."""
    try:
        return read_name(text)
    except InvalidInput as error:
        raise InvalidInput(f"{error.message}.") from None


def checked(read: Callable[[str], T], text: str) -> T:
    """What `read` makes of it, whose InvalidInput argparse renders."""
    try:
        return read(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(error.message) from None


def length_argument(text: str) -> int:
    """A length of time in seconds: 90, 15m, 8h, 30d, 2w."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text.strip().lower(), re.ASCII)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError("a length of time looks like 90 (seconds), 15m, 8h or 30d")
    return int(found[1]) * UNITS[found[2]]


JSON = flag("--json", "print one JSON document")
YES = flag("--yes", "do not ask for confirmation")
DRY_RUN = flag("--dry-run", "only show what would be done")
#: Of which hosts something is shown.
HERE = flag("--here", "of a fleet only this host")
HOSTS = either(HERE, argument("--host", "NAME", "of a fleet only the host of this name"))


def named(text: str) -> Argument:
    """What something is called from now on."""
    return argument("--name", None, text, type=name_argument)


def id_of(what: str) -> Argument:
    """The id or name of one of these: `api-key`, `group`, `token`."""
    noun = what.removeprefix("api-")
    return argument("id", "ID", f"the {noun}'s id or name, as `airoxy {what} list` shows them")
