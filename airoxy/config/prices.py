"""Price rows: those of the configuration, checked row by row, and the table as shipped.

`airoxy.core.billing.pricing` is imported only where there are rows to understand, because most
commands never ask for a price.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airoxy.config.kinds import items_of
from airoxy.errors import ConfigError

if TYPE_CHECKING:
    from airoxy.core.billing.pricing import PriceTable

#: A checkout's own table first: its tests are about that one, whatever is installed beside it.
SHIPPED = (
    Path(__file__).parents[2] / "etc" / "prices.yaml",
    Path("/usr/share/airoxy/prices.yaml"),
)

#: The parser in C where PyYAML was built with it: twenty times as fast.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: PyYAML's way to say that a value is not of the kind that its tag names: `!!timestamp soon`.
_CONSTRUCTORS_RAISE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

Row = Mapping[str, Any]


class WrongRows(ValueError):
    """Price rows that are wrong: where each begins, and why."""

    def __init__(self, rows: Sequence[tuple[yaml.Node, str]]) -> None:
        super().__init__("; ".join(reason for _, reason in rows))
        self.rows = rows


@dataclass(frozen=True, slots=True)
class Prices:
    """A list of price rows. The value is the rows; `price_table` makes the table of them."""

    wanted: str = "a list of rows like those of /usr/share/airoxy/prices.yaml, or []"

    def read(self, node: yaml.Node) -> tuple[Row, ...]:
        rows: dict[yaml.Node, Row] = {}
        wrong = []
        for item in items_of(node):
            try:
                rows[item] = _row(item)
            except ValueError as error:
                wrong.append((item, str(error)))
        wrong += _refused(rows)
        if wrong:
            raise WrongRows(sorted(wrong, key=lambda pair: pair[0].start_mark.line))
        return tuple(rows.values())


def _row(node: yaml.Node) -> Row:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("a price row must be a mapping")
    names = [key.value for key, _ in node.value]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} stands twice in one price row")
    try:
        row: Row = yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.MarkedYAMLError, *_CONSTRUCTORS_RAISE) as error:
        why = getattr(error, "problem", None) or str(error)
        raise ValueError(f"a price row cannot be understood: {why}") from error
    return row


def _refused(rows: Mapping[yaml.Node, Row]) -> list[tuple[yaml.Node, str]]:
    """What the price table has against rows."""
    if not rows:
        return []
    from airoxy.core.billing.pricing import PriceTable

    try:
        PriceTable.parse(list(rows.values()))
    except ValueError as error:
        nodes = list(rows)
        found = re.findall(r"^row ([0-9]+)(.*)$", str(error), re.MULTILINE)
        return [(nodes[int(number) - 1], f"price row{why}") for number, why in found]
    return []


@functools.cache
def shipped_prices() -> PriceTable:
    """The price table that airoxy comes with."""
    from airoxy.core.billing.pricing import PriceTable

    path = next((path for path in SHIPPED if path.exists()), SHIPPED[-1])
    try:
        return PriceTable.parse(yaml.load(path.read_bytes(), LOADER))  # noqa: S506 - it is safe
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}; install the package anew") from error


def price_table(rows: Sequence[Row]) -> PriceTable:
    """The table as shipped, with these rows added and overriding."""
    if not rows:
        return shipped_prices()
    from airoxy.core.billing.pricing import PriceTable

    return shipped_prices().merged(PriceTable.parse(list(rows)))
