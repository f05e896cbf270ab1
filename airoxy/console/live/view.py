"""A view of what goes on: whose it is, and what it shows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airoxy.console.visitor import Visitor
from airoxy.store.usage.requests import Filter

#: Why a view ends; after the last one a browser does well to come again.
LOGGED_OUT, REPLACED, CLOSING = "logged_out", "replaced", "closing"

_ANY = Filter()
_ages = itertools.count()


@dataclass(eq=False)
class View:
    """What one of them sees: `numbers`, and `rows` of the usage log that are `wanted`, those of
    `missed` and then those after the id `position`. `over` says why it has ended."""

    visitor: Visitor
    numbers: bool = True
    rows: bool = True
    wanted: Filter = _ANY
    position: int = 0
    missed: tuple[Mapping[str, Any], ...] = ()
    over: str = ""
    age: int = field(default_factory=_ages.__next__)

    @property
    def owner(self) -> tuple[int | None, int | None]:
        return self.visitor.session, self.visitor.token
