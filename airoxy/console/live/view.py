"""One open view of the live feed: its owner, and what it shows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airoxy.console.visitor import Visitor
from airoxy.store.usage.requests import Filter

#: Why a view ends; only after the last of these a browser should reconnect.
LOGGED_OUT, REPLACED, CLOSING = "logged_out", "replaced", "closing"

_ANY = Filter()
_ages = itertools.count()


@dataclass(eq=False)
class View:
    """`numbers`, and `rows` of the usage log that are `wanted`: first `missed`, then those after
    the id `position`. `over` says why the view has ended."""

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
