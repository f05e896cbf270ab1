"""Has the fleet decide which host counts the results of a batch: the one that tells it first.

Invariant: what is decided is decided for good, so that asking again changes nothing; and a request
is on this host's disk before it gets results of a batch, or a power cut would lose them.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.store.fleet import claims, membership
from airoxy.store.fleet.claims import Claim
from airoxy.store.fleet.membership import Membership
from airoxy.store.resources import AGE
from airoxy.store.schema import transaction

#: So long after a batch was counted nobody can fetch its results any more (days).
_KEEP_DAYS = AGE // 86400 + 10


def settle(db: apsw.Connection, postgres: Postgres) -> None:
    """Have what was counted here decided, and take back what others have counted before. Raises
    FleetError, also where the fleet has forgotten this host: its requests will never be there."""
    member, wanted = membership.membership(db), claims.claims(db)
    if member is None or not wanted:
        return
    with membership.on_disk(db):
        membership.note(db, synced=max(member.synced, wanted[-1].request))
    with postgres.transaction():
        _one_after_the_other(postgres)
        if not postgres.run(
            "SELECT 1 FROM airoxy.hosts WHERE host = %s AND nonce = %s AND left_at IS NULL",
            (member.host, member.nonce),
        ):
            raise FleetError("The fleet does not know this host any more: airoxy fleet status")
        lost = [claim for claim in wanted if not _is_given(postgres, member, claim)]
        counted = dict(
            postgres.run(
                "SELECT batch, max(stop) FROM airoxy.counted WHERE batch = ANY(%s) GROUP BY batch",
                ([claim.batch for claim in lost],),
            )
        )
    with transaction(db):
        for claim in wanted:
            claims.forget_claim(db, claim, is_given=claim not in lost)
        for claim in lost:
            claims.take_back(db, claim, counted[claim.batch])


def _is_given(postgres: Postgres, member: Membership, claim: Claim) -> bool:
    """As on one host: results count that follow on those that have been counted."""
    rows = postgres.run(
        "SELECT stop, host::text, request FROM airoxy.counted WHERE batch = %s", (claim.batch,)
    )
    if any((host, request) == (member.host, claim.request) for _, host, request in rows):
        return True  # as was decided before this agent, or the last one, could note it
    if rows and max(stop for stop, _, _ in rows) != claim.first:
        return False
    _count(postgres, member.host, [claim])
    return True


def tell_counted(db: apsw.Connection, postgres: Postgres, host: str) -> None:
    """A host that joins has counted these results, which nobody counts again."""
    batches = dict(claims.counted_batches(db))
    with postgres.transaction():
        _one_after_the_other(postgres)
        known = dict(
            postgres.run(
                "SELECT batch, max(stop) FROM airoxy.counted WHERE batch = ANY(%s) GROUP BY batch",
                (list(batches),),
            )
        )
        told = [Claim(0, batch, known.get(batch, 0), stop) for batch, stop in batches.items()]
        _count(postgres, host, [claim for claim in told if claim.stop > claim.first])


def forget_old(postgres: Postgres) -> None:
    """Those of which nobody can fetch results any more."""
    postgres.run(
        "DELETE FROM airoxy.counted WHERE at < now() - make_interval(days => %s)", (_KEEP_DAYS,)
    )


def _one_after_the_other(postgres: Postgres) -> None:
    postgres.run("SELECT version FROM airoxy.fleet FOR UPDATE")


def _count(postgres: Postgres, host: str, counted: Sequence[Claim]) -> None:
    if counted:
        postgres.insert(
            "INSERT INTO airoxy.counted (batch, first, stop, host, request) VALUES %s",
            [(batch, first, stop, host, request) for request, batch, first, stop in counted],
        )
