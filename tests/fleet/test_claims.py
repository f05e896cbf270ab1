"""Which host of a fleet counts the results of a batch is decided once, and for good."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.fleet import claims
from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.fleet.ship import Shipper
from airoxy.server.proxy.affinity import count_once
from airoxy.server.proxy.request_log import ResultsSeen
from airoxy.store.fleet.claims import Claim, note_claim
from airoxy.store.resources import counted_results
from airoxy.store.schema import open_database, run, transaction
from tests.fleet.test_ship import join, row, total

BATCH = "msgbatch_1"


def fetch(db: apsw.Connection, first: int, stop: int, cost: int) -> None:
    """By a key and with a token that are not in the database."""
    run(db, "PRAGMA foreign_keys = OFF")
    with transaction(db):
        count_once(db, row(time.time(), cost), ResultsSeen(BATCH, first, stop))


def costs(db: apsw.Connection) -> list[tuple[int, int]]:
    """Of each request, with its input tokens."""
    return run(db, "SELECT cost_nanousd, input_tokens FROM requests ORDER BY id")


def summed(db: apsw.Connection) -> tuple[int, int, int]:
    (found,) = run(db, "SELECT sum(requests), sum(cost_nanousd), sum(input_tokens) FROM daily")
    return found


class Two:
    """Hosts of one fleet, by their databases and connections."""

    def __init__(self, directory: Path, url: str) -> None:
        self.a, self.of_a = join(directory / "a.db", url, first=True)
        (directory / "b").mkdir()
        key = (directory / "token.key").read_text()
        (directory / "b" / "token.key").write_text(key)
        self.b, self.of_b = join(directory / "b" / "b.db", url, "b")


@pytest.fixture
def two(tmp_path, url):
    two = Two(tmp_path, url)
    yield two
    two.of_a.close()
    two.of_b.close()


def test_who_tells_the_fleet_first_counts_and_the_other_takes_everything_back(two):
    fetch(two.a, 0, 4, 70)
    fetch(two.b, 0, 4, 70)
    assert costs(two.b) == [(70, 10)]
    Shipper(two.b, two.of_b, 3).ship()
    Shipper(two.a, two.of_a, 3).ship()
    assert costs(two.b) == [(70, 10)]
    assert costs(two.a) == [(0, 0)]
    assert summed(two.a) == (1, 0, 0)
    assert total(two.of_a) == (2, 70, 2, 70)


def test_a_host_that_was_killed_before_it_noted_the_decision_asks_again_and_keeps_its_count(two):
    fetch(two.a, 0, 4, 70)
    claims.settle(two.a, two.of_a)
    note_claim(two.a, Claim(1, BATCH, 0, 4))
    claims.settle(two.a, two.of_a)
    assert costs(two.a) == [(70, 10)]
    assert total(two.of_a)[0] == 0
    Shipper(two.a, two.of_a, 3).ship()
    assert total(two.of_a) == (1, 70, 1, 70)


def test_of_a_fetch_that_broke_off_elsewhere_what_follows_is_counted_by_the_next_one(two):
    fetch(two.a, 0, 2, 30)
    fetch(two.b, 0, 4, 70)
    claims.settle(two.a, two.of_a)
    claims.settle(two.b, two.of_b)
    assert costs(two.b) == [(0, 0)]
    assert counted_results(two.b, BATCH) == 2
    fetch(two.b, 2, 4, 40)
    claims.settle(two.b, two.of_b)
    assert costs(two.b) == [(0, 0), (40, 10)]
    assert summed(two.b) == (2, 40, 10)


def test_what_a_host_had_counted_before_it_joined_is_not_counted_again(two, tmp_path, url):
    (tmp_path / "c").mkdir()
    key = (tmp_path / "token.key").read_text()
    (tmp_path / "c" / "token.key").write_text(key)
    with closing(open_database(tmp_path / "c" / "c.db")) as alone:
        fetch(alone, 0, 4, 70)
    _, of_c = join(tmp_path / "c" / "c.db", url, "c")
    of_c.close()
    # Before the news of it has come here.
    fetch(two.a, 0, 4, 70)
    claims.settle(two.a, two.of_a)
    assert costs(two.a) == [(0, 0)]


def test_the_spending_of_a_group_follows_what_is_taken_back(two):
    run(two.b, "INSERT INTO spenders VALUES (1)")
    fetch(two.a, 0, 4, 70)
    claims.settle(two.a, two.of_a)
    fetch(two.b, 0, 4, 70)
    assert run(two.b, "SELECT sum(cost_nanousd) FROM spending WHERE spender = 1") == [(70,)]
    claims.settle(two.b, two.of_b)
    assert run(two.b, "SELECT sum(cost_nanousd) FROM spending WHERE spender = 1") == [(0,)]


def test_a_host_that_is_alone_asks_nobody(tmp_path):
    with closing(open_database(tmp_path / "alone.db")) as db:
        fetch(db, 0, 4, 70)
        assert run(db, "SELECT * FROM fleet_claims") == []


def test_a_host_that_was_forgotten_keeps_no_other_from_counting(two):
    fetch(two.a, 0, 4, 70)
    fetch(two.b, 0, 4, 70)
    two.of_b.run("UPDATE airoxy.hosts SET left_at = now() WHERE name = 'a'")
    with pytest.raises(FleetError, match="does not know this host"):
        claims.settle(two.a, two.of_a)
    claims.settle(two.b, two.of_b)
    assert costs(two.b) == [(70, 10)]


def test_old_decisions_are_forgotten(two: Two):
    fetch(two.a, 0, 4, 70)
    claims.settle(two.a, two.of_a)
    claims.forget_old(two.of_a)
    assert _decided(two.of_a) == 1
    two.of_a.run("UPDATE airoxy.counted SET at = now() - interval '41 days'")
    claims.forget_old(two.of_a)
    assert _decided(two.of_a) == 0


def _decided(postgres: Postgres) -> int:
    ((count,),) = postgres.run("SELECT count(*) FROM airoxy.counted")
    return int(count)
