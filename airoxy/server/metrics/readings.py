"""What the metrics are made from: the state of all workers at one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airoxy.core.pool import Scope
from airoxy.server.metrics.counters import CounterLabels, CounterValues
from airoxy.server.metrics.load import Load


@dataclass(frozen=True)
class Stored:
    """What the database said last: names by id, and the rows of `tokens.list_tokens`."""

    keys: Mapping[int, str] = field(default_factory=dict)
    token_names: Mapping[int, str] = field(default_factory=dict)
    tokens: Collection[Mapping[str, Any]] = ()
    readable: bool = False
    groups: Mapping[int, str] = field(default_factory=dict)
    #: How far the fleet is behind this host (`membership.lag`); None where it is alone.
    fleet: Mapping[str, Any] | None = None
    #: What part of a limit this host may use, by the number of a key or group and the option.
    shares: Mapping[tuple[int, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Readings:
    """`ready` are the ids of the tokens that could serve a request for any model."""

    counted: Collection[tuple[CounterLabels, CounterValues]]
    dropped: int
    refused: int
    load: Load
    ready: frozenset[int]
    stored: Stored
    #: What every token is cooling down for.
    exhausted: Collection[Scope] = ()
    #: The classes of the models that have a price: no client made them up.
    classes: frozenset[str] = frozenset()
    #: Connections without a valid key that were refused or closed, by reason.
    refused_connections: Mapping[str, int] = field(default_factory=dict)
