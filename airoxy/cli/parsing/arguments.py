"""Names, lengths of time and counts as arguments of a command."""

from __future__ import annotations

import argparse
import re

from airoxy.core.names import read_name
from airoxy.errors import InvalidInput
from airoxy.views.times import UNITS


def add_limit(parser: argparse.ArgumentParser, text: str) -> None:
    """How many rows to show: 50 where it is not said."""
    parser.add_argument(
        "-n", "--limit", type=_count, default=50, metavar="N",
        help=f"{text} (default: %(default)s)",
    )  # fmt: skip


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10**9:
        raise argparse.ArgumentTypeError("a number from 1 on")
    return int(text)


def name_argument(text: str) -> str:
    """A name for a key or token."""
    try:
        return read_name(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(error.message) from None


def length_argument(text: str) -> int:
    """A length of time in seconds: 90, 15m, 8h, 30d, 2w."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text.strip().lower(), re.ASCII)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError("a length of time looks like 90 (seconds), 15m, 8h or 30d")
    return int(found[1]) * UNITS[found[2]]
