"""Clients without a valid key, noted in the journal so that fail2ban can shut them out.

Invariant: nobody can fill the journal: a worker writes at most LINES a minute for an address and
MOST_LINES in all, and then how many it has left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from airoxy.core.limits.addresses import Network, parsed_address
from airoxy.errors import Unauthorized
from airoxy.journal import about
from airoxy.server.http.head import RequestHead
from airoxy.server.http.request import Request

log = logging.getLogger(__name__)

LINES, MOST_LINES = 10, 100
_MINUTE = 60.0
#: Addresses that are remembered in the form in which they are written to the journal.
_ADDRESSES = 4096


@dataclass
class RefusedClients:
    """Behind a trusted proxy the client's address is the one that the proxy gives. `count` is
    called for each refusal."""

    trusted: tuple[Network, ...]
    count: Callable[[], object]
    _since: float = 0.0
    _lines: dict[str, int] = field(default_factory=dict)
    _written: int = 0
    _left_out: int = 0
    _addresses: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def refuse(
        self, error: Unauthorized, client: tuple[str, int] | None, head: RequestHead, now: float
    ) -> None:
        """A client has no valid key, or one that has expired."""
        self.count()
        if not 0 <= now - self._since < _MINUTE:
            self._begin(now)
        address = self.address(client, head)
        lines = self._lines.get(address, 0)
        if lines >= LINES or self._written >= MOST_LINES:
            self._left_out += 1
            return
        self._lines[address] = lines + 1
        self._written += 1
        fault = "Expired" if error.expired else "Invalid"
        log.warning("%s API key from %s", fault, address, extra=about(error.request_id))

    def address_of(self, request: Request) -> str:
        """Where the client of a request sits, found once for all that have the same head, which are
        of one connection."""
        head = request.head
        if head.client_address is None:
            head.client_address = self.address(request.client, head)
        return head.client_address

    def address(self, client: tuple[str, int] | None, head: RequestHead) -> str:
        """Where the client sits, as far as can be known: the headers are taken apart for it only
        where a trusted proxy may have told something."""
        address, trusted = self._look_up(client[0]) if client else ("", False)
        if trusted:
            # The last one is the trusted proxy's own word; those before are anybody's.
            forwarded = [value for name, value in head.headers if name == b"x-forwarded-for"]
            if forwarded:
                told = forwarded[-1].decode("latin-1").rpartition(",")[2].strip()
                address = self._look_up(told)[0] or address
        return address or "unknown"

    def _look_up(self, text: str) -> tuple[str, bool]:
        """An address as it is told ("": it is none), and whether a trusted proxy has it."""
        found = self._addresses.get(text)
        if found is None:
            address = parsed_address(text)
            trusted = address is not None and any(address in each for each in self.trusted)
            if len(self._addresses) >= _ADDRESSES:
                self._addresses.clear()
            found = self._addresses[text] = ("" if address is None else str(address), trusted)
        return found

    def _begin(self, now: float) -> None:
        if self._left_out:
            log.warning("%d more requests had no valid API key.", self._left_out)
        self._since, self._written, self._left_out = now, 0, 0
        self._lines.clear()
