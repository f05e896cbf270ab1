"""A route of the console: a path, its functions by method, and who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airoxy.console.visit import Handler


@dataclass(frozen=True)
class Route:
    """`for_all` are the methods beside GET that a viewer may use as well; `for_admins` those that
    a viewer may not, whatever they are. With `takes_yaml` a body may be YAML instead of JSON."""

    path: str
    handlers: Mapping[str, Handler]
    for_all: frozenset[str] = field(default_factory=frozenset)
    for_admins: frozenset[str] = field(default_factory=frozenset)
    takes_yaml: bool = False

    def needs_admin(self, method: str) -> bool:
        """Whether only an admin may use it: whatever changes something, unless it is named."""
        return method in self.for_admins or method not in ("GET", *self.for_all)


def page(
    path: str, get: Handler | None = None, post: Handler | None = None, *, for_all: bool = False
) -> Route:
    """A page, and what its forms do."""
    given = {"GET": get, "POST": post}
    handlers = {method: handler for method, handler in given.items() if handler}
    return Route(path, handlers, frozenset({"POST"} if for_all else ()))
