"""The agent: carries rows between this host's database and the fleet's PostgreSQL.

It is a process of its own, so that its delays and failures delay no request.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from airoxy.errors import AiroxyError
from airoxy.fleet import claims, identity, leases, schema, sync
from airoxy.fleet.divide import Divider
from airoxy.fleet.overview.hosts import hosts
from airoxy.fleet.postgres import Postgres, read_password
from airoxy.fleet.ship import AT_ONCE, Shipper
from airoxy.store.audit.trail import act_as
from airoxy.store.fleet import membership, shared
from airoxy.store.fleet.hosts import FleetHost, keep_hosts
from airoxy.store.fleet.membership import Membership
from airoxy.store.schema import data_version, transaction

log = logging.getLogger(__name__)

#: How often this host's database is checked for changes (seconds).
LOOK = 0.05
#: How often rows are shipped, and how often shared rows are read without a notification (seconds).
SHIP, POLL = 1.0, 5.0
#: How often limits are divided (seconds).
DIVIDE = 1.0
#: How often the sums are compared and old days dropped (seconds).
TIDY = 600.0
#: Pause before PostgreSQL is tried again, doubled up to the second (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0

Connect = Callable[[Membership], Postgres]


class Agent:
    """`connect` gives a connection to PostgreSQL; `alive` is called at each turn."""

    def __init__(
        self,
        db: apsw.Connection,
        connect: Connect,
        *,
        keep_days: int,
        alive: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._db, self._connect, self._keep_days, self._alive = db, connect, keep_days, alive
        self._stop = threading.Event()
        #: Not None: a predecessor may have told of some trouble.
        self._told: str | None = ""

    def stop(self) -> None:
        """End after what is under way."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`, or until the host leaves the fleet."""
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            member = membership.membership(self._db)
            if member is None:
                log.warning("This host has left the fleet.")
                return
            try:
                postgres = self._connect(member)
                try:
                    session = Session(self._db, postgres, self._keep_days)
                    self._tell(None)
                    pause = FIRST_PAUSE
                    while not self._stop.is_set():
                        session.turn()
                        self._alive("meets the fleet")
                    session.ship_all()
                finally:
                    postgres.close()
            except AiroxyError as error:
                self._tell(error.message)
                if isinstance(error, identity.NotItself):
                    # A predecessor's connection is gone in a moment; else somebody has to act.
                    runs = isinstance(error, identity.AgentRuns)
                    pause = FIRST_PAUSE if runs else LONGEST_PAUSE
            except apsw.Error as error:
                self._tell(f"The database cannot be used: {error}")
            self._alive(self._told or "")
            self._stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _tell(self, trouble: str | None) -> None:
        """Once, and where commands and the server find it."""
        if trouble == self._told:
            return
        self._told = trouble
        if trouble is None:
            log.info("The fleet's PostgreSQL is reached.")
        else:
            log.warning("%s", trouble)
        try:
            membership.note(self._db, trouble=trouble)
        except apsw.Error as error:
            log.warning("The database cannot be written: %s", error)


class Session:
    """What one connection is used for. Raises FleetError, NotItself, apsw.Error. Every `poll`
    seconds it asks for what it was not told of."""

    def __init__(
        self, db: apsw.Connection, postgres: Postgres, keep_days: int, poll: float = POLL
    ) -> None:
        self._poll = poll
        self._db, self._postgres = db, postgres
        schema.prepare(postgres, db)
        member = identity.assume(db, postgres, keep_days=keep_days)
        act_as(db, sync.OTHERS)
        sync.offer_lost(db, postgres)
        self._shipper = Shipper(db, postgres, keep_days)
        self._divider = Divider(db, postgres, member.host)
        shared.watch(db)
        postgres.listen()
        self._version = -1
        self._next_ship = self._next_poll = self._next_tidy = self._next_division = 0.0

    def turn(self) -> None:
        """One look at both sides, and what there is to do."""
        now = time.monotonic()
        if data_version(self._db) != self._version:
            self._version = data_version(self._db)
            while sync.push(self._db, self._postgres) == sync.AT_ONCE:
                pass
            if self._divider.is_new():
                self._next_division = now
            leases.serve(self._db, self._postgres)
        if self._postgres.notified() or now >= self._next_poll:
            self._next_poll = now + self._poll
            sync.pull_all(self._db, self._postgres)
            leases.serve(self._db, self._postgres)
            self._tell_and_count_hosts()
        if now >= self._next_division:
            self._next_division = now + DIVIDE
            self._divider.divide(time.time())
        if now >= self._next_ship:
            full = self._shipper.ship() == AT_ONCE
            self._next_ship = now + (0 if full else SHIP)
        if now >= self._next_tidy:
            self._next_tidy = now + TIDY
            self._shipper.reconcile()
            self._shipper.drop_old(time.time())
            claims.forget_old(self._postgres)
        wait = min(LOOK, max(0.0, self._next_ship - time.monotonic()))
        select.select([self._postgres.fileno()], [], [], wait)

    def _tell_and_count_hosts(self) -> None:
        """Others see that this one is there, also while nothing happens on it."""
        if (member := membership.membership(self._db)) is not None:
            self._postgres.run(
                "UPDATE airoxy.hosts SET seen_at = now(), waiting = %s"
                " WHERE host = %s AND nonce = %s",
                (membership.waiting(self._db, member), member.host, member.nonce),
            )
        schema.refuse_newer(schema.schema_version(self._postgres))
        now, found = time.time(), hosts(self._postgres)
        seen = [
            FleetHost(row["name"], row["airoxy"], row["waiting"], now - row["ago"]) for row in found
        ]
        with transaction(self._db):
            if membership.membership(self._db) is None:
                return  # it has left meanwhile
            if len(found) != membership.hosts_that_share(self._db):
                membership.note_hosts(self._db, len(found))
            keep_hosts(self._db, seen)
            membership.note(self._db, contact_at=now)

    def ship_all(self) -> None:
        """What there is until now."""
        sync.push(self._db, self._postgres)
        while self._shipper.ship() == AT_ONCE:
            pass


def connector(database: Path, credentials: str | None, url: str | None = None) -> Connect:
    """Connects to `url`, else to where the host joined; the password is read each time."""
    return lambda member: Postgres(url or member.url, read_password(database, credentials))
