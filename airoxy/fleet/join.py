"""How a host comes into a fleet, goes out of it, and is forgotten."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from airoxy.calendar import DAY_MS
from airoxy.errors import Conflict, NotFound
from airoxy.fleet import claims, identity, schema, sync
from airoxy.fleet.overview.hosts import hosts
from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.fleet.ship import AT_ONCE, Shipper
from airoxy.store.audit.trail import act_as
from airoxy.store.encryption import Encryption, attach, name_of
from airoxy.store.fleet import membership, merge, shared, usage
from airoxy.store.fleet.claims import forget_copied
from airoxy.store.fleet.membership import Membership
from airoxy.store.fleet.merge import Merge
from airoxy.store.fleet.shares import RATES, begin_with_nothing
from airoxy.store.key_file import write_key_file
from airoxy.store.schema import run, transaction

#: How long a running agent is waited for (seconds).
_PATIENCE = 15.0


@dataclass
class Entry:
    """A host that is about to join. `first` makes the fleet; `key` encrypts the fleet's tokens, and
    `own_key` this host's, if that key is not in a file; `anew` is for a host that has the identity
    of another one; `running` says whether its server runs."""

    db: apsw.Connection
    postgres: Postgres
    url: str
    name: str
    first: bool = False
    anew: bool = False
    key: bytes | None = None
    own_key: bytes | None = None
    running: Callable[[], bool] = lambda: False
    merges: list[Merge] = field(default_factory=list)

    def prepare(self) -> None:
        """Look whether it can join, and what that changes. Raises what is in the way."""
        there = schema.schema_version(self.postgres) > 0 and bool(
            self.postgres.run("SELECT 1 FROM airoxy.hosts")
        )
        if there and self.first:
            raise Conflict("There is a fleet in this database already: leave --first out.")
        if not there and not self.first:
            raise NotFound("There is no fleet in this database yet; the first host: --first")
        before = membership.last_membership(self.db)
        if self.anew and before is None:
            raise Conflict("This host was never in a fleet: leave --anew out.")
        if there:
            self._check_hosts(before)
            self._check_key()
            self.merges = merge.plan(self.db, self._theirs(), self.name)

    def _check_hosts(self, before: Membership | None) -> None:
        mine = before.host if before else None
        for host, name in self.postgres.run(
            "SELECT host::text, name FROM airoxy.hosts WHERE left_at IS NULL"
        ):
            if host == mine and not self.anew:
                raise Conflict(f"This host is in the fleet already, as {name}; or: --anew")
            if name == self.name and host != mine:
                raise Conflict(
                    f"The fleet has a host named {name} already: choose another --name, or"
                    f" `airoxy fleet forget {name}`."
                )

    def _check_key(self) -> None:
        ((theirs,),) = self.postgres.run("SELECT token_key FROM airoxy.fleet")
        mine = run(self.db, "SELECT name FROM token_key")[0][0]
        if theirs is None or (mine and mine.hex() == theirs):
            return
        if self.key is None and mine is None:
            self.key = self._encryption().find(bytes.fromhex(theirs))
        if self.key is None:
            raise Conflict(
                "The fleet's tokens are encrypted with another key; give it: --token-key FILE"
                " (64 digits, from /var/lib/airoxy/token.key of a host of the fleet, or by"
                " systemd-creds)."
            )
        if name_of(self.key).hex() != theirs:
            raise Conflict("That is not the key of the fleet's tokens.")

    def _encryption(self) -> Encryption:
        return attach(self.db, Path(self.db.filename), self.own_key)

    def _theirs(self) -> dict[str, dict[int, dict[str, Any]]]:
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for kind, row in self.postgres.run(
            "SELECT kind, row FROM airoxy.shared WHERE row IS NOT NULL AND kind = ANY(%s)",
            (list(shared.COMMANDED),),
        ):
            found.setdefault(kind, {})[row["id"]] = row
        return found

    def carry_out(self, keep_days: int) -> None:
        """Join. Raises Conflict where the server would have to be stopped for it."""
        if any(each.ids for each in self.merges) and self.running():
            raise Conflict(
                "Keys or tokens of this host get other ids, so its server must not run meanwhile:"
                " sudo airoxy stop"
            )
        db, postgres = self.db, self.postgres
        act_as(db, sync.OTHERS)
        schema.prepare(postgres, db)
        before = membership.last_membership(db)
        encryption = self._encryption()
        member = self._enter_here(before, encryption)
        if self.key is not None:
            write_key_file(encryption.file, self.key)
            encryption.finish()
        self._enter_there(before if self.anew else None, member, encryption.key())
        identity.assume(db, postgres, keep_days=keep_days)
        claims.settle(db, postgres)
        claims.tell_counted(db, postgres, member.host)
        sync.pull_all(db, postgres)
        with transaction(db):
            if not self.first:
                begin_with_nothing(db)
            shared.offer_all(db)
        while sync.push(db, postgres):
            pass
        shared.watch(db)
        with transaction(db):
            membership.note_hosts(db, len(hosts(postgres)))
        postgres.run("NOTIFY airoxy")

    def _enter_here(self, before: Membership | None, encryption: Encryption) -> Membership:
        """What changes in this host's database, all at once; `before` is its last membership."""
        db, first = self.db, 0
        host = before.host if before and not self.anew else identity.new_id()
        with membership.on_disk(db), transaction(db):
            if self.anew and before is not None:
                first = _fork(db, self.postgres, before.host)
                forget_copied(db, first)
                usage.take_baseline(db, first)
            shared.unwatch(db)
            membership.forget_rows(db)
            if self.key is not None:
                encryption.adopt(self.key)
            merge.carry_out(db, self.merges)
            membership.enter(
                db, host=host, name=self.name, url=self.url, nonce=identity.new_id(),
                now=time.time(), first=first,
            )  # fmt: skip
        member = membership.membership(db)
        assert member is not None
        return member

    def _enter_there(self, copied: Membership | None, member: Membership, key: bytes) -> None:
        """The fleet has this host and, from its first one, the name of the tokens' key; `copied` is
        the membership of the host whose database this one's is a copy of."""
        postgres = self.postgres
        if copied is not None:
            # The other host keeps its identity, if it still runs; only the name is taken over.
            postgres.run(
                "UPDATE airoxy.hosts SET left_at = now() WHERE host = %s AND name = %s",
                (copied.host, self.name),
            )
        postgres.run(
            "INSERT INTO airoxy.hosts (host, name, nonce, shipped) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (host) DO UPDATE SET name = excluded.name, nonce = excluded.nonce,"
            " left_at = NULL",
            (member.host, self.name, member.nonce, member.first),
        )
        postgres.run(
            "UPDATE airoxy.fleet SET token_key = %s WHERE token_key IS NULL",
            (name_of(key).hex(),),
        )


def _fork(db: apsw.Connection, postgres: Postgres, host: str) -> int:
    """Up to which id the requests here are those that the fleet has of this host."""
    same = ("requested_at", "api_key_id", "endpoint", "duration_ms", "status_code")
    names = ", ".join(("id", *same))
    kept = schema.days(postgres)
    oldest = kept[0] * DAY_MS if kept else 0
    theirs = {
        row[0]: row[1:]
        for row in postgres.run(f"SELECT {names} FROM airoxy.requests WHERE host = %s", (host,))
    }
    last = 0
    for number, *facts in run(db, f"SELECT {names} FROM requests ORDER BY id"):
        if facts[0] >= oldest and theirs.get(number) != tuple(facts):
            return last
        last = number
    return last


def leave(db: apsw.Connection, postgres: Postgres, keep_days: int) -> None:
    """Give the fleet everything, and what this host held of it; then be alone. Raises FleetError
    where the agent, which runs, has not given everything after a while."""
    member = membership.membership(db)
    if member is None:
        raise Conflict("This host is in no fleet.")
    try:
        identity.assume(db, postgres, keep_days=keep_days)
    except identity.AgentRuns:
        _await_agent(db)
    else:
        schema.prepare(postgres, db)
        while sync.push(db, postgres):
            pass
        shipper = Shipper(db, postgres, keep_days)
        while shipper.ship() == AT_ONCE:
            pass
        shipper.reconcile()
    forget(postgres, member.name)
    be_alone(db)


def be_alone(db: apsw.Connection) -> None:
    """From now on nothing here is given to the fleet."""
    with transaction(db):
        shared.unwatch(db)
        membership.leave(db, time.time())


def _await_agent(db: apsw.Connection) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        member = membership.membership(db)
        if member is None or (member.shipped >= usage.last_given(db) and not shared.waiting(db)):
            return
        if time.monotonic() > deadline:
            raise FleetError("The agent has not given the fleet everything yet; try again.")
        time.sleep(0.05)


def forget(postgres: Postgres, name: str) -> None:
    """A host is not waited for any more: its shares and leases are free. What it used stays.
    Raises NotFound."""
    with postgres.transaction():
        found = postgres.run(
            "UPDATE airoxy.hosts SET left_at = now(), nonce = '' WHERE name = %s"
            " AND left_at IS NULL RETURNING host",
            (name,),
        )
        if not found:
            raise NotFound(f"The fleet has no host {name}: airoxy fleet status")
        postgres.run("DELETE FROM airoxy.leases WHERE host = %s", found[0])
        # What it has spent counts in its period; of rates and concurrency it uses nothing any more.
        postgres.run(
            "UPDATE airoxy.shares SET share = least(share, used), demand = 0 WHERE host = %s",
            found[0],
        )
        postgres.run(
            "UPDATE airoxy.shares SET share = 0, used = 0 WHERE host = %s AND measure = ANY(%s)",
            (*found[0], list(RATES)),
        )
        postgres.run("NOTIFY airoxy")
