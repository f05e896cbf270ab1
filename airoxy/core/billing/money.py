"""Dollars as text, and whole nano-dollars: nothing between the two is rounded."""

from __future__ import annotations

import re

from airoxy.errors import InvalidInput

NANO = 1_000_000_000
#: Far above any budget, and far below where SQLite's integers end.
MOST_DOLLARS = 1_000_000_000

_AMOUNT = re.compile(r"\$?([0-9]{1,12})(?:\.([0-9]+))?", re.ASCII)


def nanousd(text: str) -> int:
    """The nano-dollars of "5", "$2.50" or "0.000000001". Raises InvalidInput."""
    found = _AMOUNT.fullmatch(text)
    if not found:
        raise InvalidInput(f"{text!r} is no amount of dollars; write it like 5 or 2.50")
    whole, decimals = int(found[1]), (found[2] or "").rstrip("0")
    if len(decimals) > 9:
        raise InvalidInput(f"{text!r} has more than nine decimals; a nano-dollar is the least")
    amount = whole * NANO + int(decimals.ljust(9, "0"))
    if amount > MOST_DOLLARS * NANO:
        raise InvalidInput(f"{text!r} is more than {MOST_DOLLARS} dollars; leave the limit out")
    return amount


def exact_dollars(amount: int) -> str:
    """ "$5.00", "$0.000000001": every digit there is, and two decimals at the least."""
    whole, decimals = divmod(amount, NANO)
    text = f"{decimals:09}".rstrip("0")
    return f"${whole:,}.{text:0<2}"
