"""Which connections are accepted: connections that have not shown a valid client key yet are
limited, by address and in all.

Invariant: a connection with a valid key is neither counted nor closed here. IPv6 addresses count by
their /64, all of which belongs to one host or site. Trusted proxies are not limited, because their
connections are shared by many clients.
"""

from __future__ import annotations

import ipaddress
import logging
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from airoxy.config import Config
from airoxy.core.limits.addresses import Network, parsed_address

log = logging.getLogger(__name__)

#: Seconds whose new connections an address may open at once, as the clients of an office do after
#: an interruption; they show their keys only then.
BURST = 10
#: How many of the oldest connections are tried for one that can be closed.
_LOOKS = 8
#: Above this number of addresses, those without connections and at their full rate are forgotten.
_ADDRESSES = 4096
#: Most lines in the journal in a minute (seconds); an address has one of them.
_MINUTE, LINES = 60.0, 10

#: Why a connection was not accepted, or closed before its time.
TOO_MANY_OPEN, TOO_MANY_NEW, NO_ROOM = REASONS = ("open", "new", "room")


def _stay() -> bool:
    """A connection that cannot be closed."""
    return False


@dataclass(slots=True)
class _Address:
    """What an address has: connections without a valid key, and how many it may still open."""

    open: int
    may_open: float
    at: float


class Newcomer:
    """A connection on which no valid key was shown yet. `give_way` closes it, unless it is busy."""

    __slots__ = ("_address", "_admission", "give_way")

    def __init__(self, admission: Admission | None = None, address: _Address | None = None) -> None:
        self._admission = admission
        self._address = address
        self.give_way: Callable[[], bool] = _stay

    def identified(self) -> None:
        """A valid key was shown: the connection counts neither as open nor as new."""
        if self._admission is not None:
            if self._address is not None:
                self._address.may_open += 1.0
            self.end()

    def end(self) -> None:
        """The connection is closed, or no longer counted."""
        admission, self._admission, self.give_way = self._admission, None, _stay
        if admission is not None:
            admission.waiting.pop(self, None)
            if self._address is not None:
                self._address.open -= 1


@dataclass
class Admission:
    """`per_address` connections may be open at once, `per_second` new ones come, `most` be open in
    all; None is no bound. `count` is told of each that was refused or closed, and why."""

    per_address: int | None = None
    per_second: int | None = None
    trusted: Sequence[Network] = ()
    most: int | None = None
    count: Callable[[str], object] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    #: In the order in which they came.
    waiting: dict[Newcomer, None] = field(default_factory=dict)
    _addresses: dict[str, _Address] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _told_since: float = 0.0
    _untold: int = 0

    def admit(self, client: str) -> Newcomer | None:
        """The connection of a client, by its address; None if it has to be refused."""
        name = self._name(client)
        if not name:
            return Newcomer()
        address = self._take(name)
        if address is None:
            return None
        newcomer = Newcomer(self, address)
        self.waiting[newcomer] = None
        if self.most is not None and len(self.waiting) > self.most:
            self._make_room()
        return newcomer

    def _take(self, name: str) -> _Address | None:
        now, rate = self.clock(), self.per_second
        address = self._addresses.get(name)
        if address is None:
            if len(self._addresses) >= _ADDRESSES:
                self._forget(now)
            address = self._addresses[name] = _Address(0, (rate or 0) * BURST, now)
        if rate is not None:
            allowed = address.may_open + (now - address.at) * rate
            address.may_open, address.at = min(allowed, rate * BURST), now
            if address.may_open < 1.0:
                self._note(name, TOO_MANY_NEW)
                return None
        if self.per_address is not None and address.open >= self.per_address:
            self._note(name, TOO_MANY_OPEN)
            return None
        address.open += 1
        if rate is not None:
            address.may_open -= 1.0
        return address

    def _name(self, client: str) -> str:
        """What is counted as one; "" for what is not counted."""
        name = self._names.get(client)
        if name is None:
            if len(self._names) >= _ADDRESSES:
                self._names.clear()
            name = self._names[client] = _counted_as(client, self.trusted)
        return name

    def _forget(self, now: float) -> None:
        rate = self.per_second or 0
        for name, each in tuple(self._addresses.items()):
            if not each.open and each.may_open + (now - each.at) * rate >= rate * BURST:
                del self._addresses[name]

    def _make_room(self) -> None:
        for each in tuple(islice(self.waiting, _LOOKS)):
            del self.waiting[each]
            if each.give_way():
                self._note("", NO_ROOM)
                return
            self.waiting[each] = None

    def _note(self, name: str, reason: str) -> None:
        """Count it, and say so, which must not fill the journal."""
        self.count(reason)
        now = self.clock()
        if now - self._told_since >= _MINUTE:
            if self._untold:
                log.warning("%d more connections were refused or closed so.", self._untold)
            self._told_since, self._untold = now, 0
            self._told.clear()
        if name in self._told or len(self._told) >= LINES:
            self._untold += 1
            return
        self._told.add(name)
        if reason == NO_ROOM:
            log.warning(
                "%d connections have shown no valid API key; those that wait longest are closed.",
                self.most,
            )
        elif reason == TOO_MANY_OPEN:
            log.warning(
                "Connections from %s are refused: %d are open on which no valid API key was shown"
                " (connections.per_address).",
                name,
                self.per_address,
            )
        else:
            log.warning(
                "Connections from %s are refused: more than %d a second come on which no valid API"
                " key is shown (connections.per_second).",
                name,
                self.per_second,
            )


def _counted_as(client: str, trusted: Sequence[Network]) -> str:
    address = parsed_address(client)
    if address is None or any(address in network for network in trusted):
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def admission_to_worker(config: Config, workers: int, count: Callable[[str], object]) -> Admission:
    """Each of `workers` accepts its share."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounds = config.connections
    return Admission(
        _share(bounds.per_address, workers),
        _share(bounds.per_second, workers),
        tuple(map(ipaddress.ip_network, config.trusted_proxies)),
        # What is served takes two.
        None if descriptors == resource.RLIM_INFINITY else descriptors // 2,
        count,
    )


def _share(bound: int | None, workers: int) -> int | None:
    return None if bound is None else -(-bound // workers)
