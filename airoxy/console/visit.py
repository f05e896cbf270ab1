"""One request as the functions behind pages and API see it, and what they may answer.

They run in a thread with a database connection of its own, and do nothing with HTTP themselves.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import apsw

from airoxy.calendar import day_of
from airoxy.config import Config
from airoxy.console.hosts.others import OtherHosts
from airoxy.console.hosts.pasts import Pasts
from airoxy.console.live.checkup import Checkup, Examine
from airoxy.console.live.view import View
from airoxy.console.throttle import LoginThrottle
from airoxy.console.visitor import Visitor
from airoxy.errors import Unauthorized
from airoxy.store.usage.past import Past

#: The server's answer to GET /health as (status, document).
AskHealth = Callable[[], tuple[int | None, Mapping[str, Any]]]


@dataclass(frozen=True)
class Services:
    """What pages and API work with beside the database. `examine` gives the doctor's findings;
    `share` has what is changed next committed for a whole fleet, or not at all; `others` are the
    hosts of the fleet, and None where nobody asks them."""

    config: Config
    clock: Callable[[], float]
    ask_health: AskHealth
    examine: Examine
    share: Callable[[apsw.Connection], None] = lambda _: None
    throttle: LoginThrottle = field(default_factory=LoginThrottle)
    others: OtherHosts | None = None
    past: Past = field(default_factory=Past)
    pasts: Pasts = field(default_factory=Pasts)
    checkup: Checkup = field(default_factory=Checkup)


@dataclass(frozen=True)
class YamlText:
    """The body of an API request that is YAML."""

    text: bytes


@dataclass(frozen=True)
class Visit:
    """`params` are from the path, `query` from behind the question mark, `form` from the body;
    `origin` is the address by which the browser knows the console."""

    db: apsw.Connection
    services: Services
    who: Visitor | None
    path: str = "/"
    origin: str = ""
    address: str = ""
    agent: str = ""
    secret: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    #: The JSON document of an API request or its YamlText, its If-Match and its Last-Event-ID.
    body: Any = None
    if_match: str | None = None
    last_event_id: str | None = None

    @property
    def visitor(self) -> Visitor:
        """Whoever is logged in. Raises Unauthorized."""
        if self.who is None:
            raise Unauthorized("Log in first.")
        return self.who

    @property
    def config(self) -> Config:
        return self.services.config

    @property
    def zone(self) -> datetime.tzinfo:
        """Whose days and clocks are shown."""
        return self.config.timezone

    @property
    def today(self) -> datetime.date:
        return day_of(self.now, self.zone)

    @property
    def moment(self) -> datetime.datetime:
        """Now, on the clocks of the zone: what is typed is read as of then."""
        return datetime.datetime.fromtimestamp(self.now, self.zone)

    @cached_property
    def now(self) -> float:
        """The same for all of an answer: its figures are of one day, even about midnight."""
        return self.services.clock()


@dataclass(frozen=True)
class Rendered:
    """A page: a template with values."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class SeeOther:
    """The browser goes on to `location`. `secret` begins a session, "" ends it."""

    location: str
    secret: str | None = None


@dataclass(frozen=True)
class Download:
    """A file to be saved. `warning`: what a reader has to know of it."""

    name: str
    content_type: str
    body: bytes
    etag: str | None = None
    warning: str = ""


@dataclass(frozen=True)
class JsonReply:
    """What the API answers; `etag` names this state of what was asked for, and `following` is where
    the next page of a list is. `warning`: what a reader has to know of it."""

    document: Any
    status: int = 200
    etag: str | None = None
    location: str | None = None
    following: str | None = None
    warning: str = ""


@dataclass(frozen=True)
class Watching:
    """Events, from now on, as long as somebody looks."""

    view: View


Reply = Rendered | SeeOther | Download | JsonReply | Watching
Handler = Callable[[Visit], Reply]
