"""Rows and sums of the usage log reach PostgreSQL, each once."""

from __future__ import annotations

import time
from pathlib import Path

import apsw
import pytest

from airoxy.core.billing.usage import Usage
from airoxy.fleet import identity, schema
from airoxy.fleet.join import Entry
from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.fleet.ship import Shipper
from airoxy.store.fleet import membership
from airoxy.store.schema import open_database, run, transaction
from airoxy.store.usage import requests
from airoxy.store.usage.costs import Change, change_costs
from tests.fleet.conftest import eventually
from tests.fleet.postgresql import Cluster


def row(at: float, cost: int, key: int = 1, model: str = "claude-haiku-4-5") -> requests.Row:
    return requests.Row(
        int(at * 1000), key, 1, "/v1/messages", model, False, Usage(model, 10, 20),
        cost, 200, None, "complete", 1, 5, 10, "req_1",
    )  # fmt: skip


def append(db: apsw.Connection, *costs: int) -> None:
    with transaction(db):
        requests.append(db, [row(time.time(), cost) for cost in costs])


def join(path: Path, url: str, name: str = "a", **how: bool) -> tuple[apsw.Connection, Postgres]:
    db, postgres = open_database(path), Postgres(url)
    entry = Entry(db, postgres, url, name, **how)
    entry.prepare()
    entry.carry_out(3)
    return db, postgres


def total(postgres: Postgres) -> tuple[int, int, int, int]:
    """Rows and their cost, requests of the sums and theirs."""
    rows = postgres.run(
        "SELECT count(*), coalesce(sum(cost_nanousd), 0)::bigint FROM airoxy.requests"
    )
    sums = postgres.run(
        "SELECT coalesce(sum(requests), 0)::bigint, coalesce(sum(cost_nanousd), 0)::bigint"
        " FROM airoxy.daily"
    )
    return (*rows[0], *sums[0])


def test_rows_and_sums_arrive_once_however_often_they_are_given(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5, 7)
    shipper = Shipper(db, postgres, 3)
    assert shipper.ship() == 2
    assert total(postgres) == (2, 12, 2, 12)
    membership.note(db, shipped=0)  # killed before it noted what PostgreSQL had
    assert shipper.ship() == 2
    assert total(postgres) == (2, 12, 2, 12)


def test_what_was_there_before_the_fleet_goes_with_the_first_host(tmp_path, url):
    with open_database(tmp_path / "a.db") as before:
        append(before, 5, 7)
    before.close()
    db, postgres = join(tmp_path / "a.db", url, first=True)
    Shipper(db, postgres, 3).ship()
    assert total(postgres) == (2, 12, 2, 12)


def test_two_hosts_of_one_key_do_not_touch_each_others_sums(tmp_path, url):
    a, postgres = join(tmp_path / "a.db", url, first=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "token.key").write_text((tmp_path / "token.key").read_text())
    b, other = join(tmp_path / "b" / "b.db", url, "b")
    append(a, 5)
    append(b, 7)
    Shipper(a, postgres, 3).ship()
    Shipper(b, other, 3).ship()
    assert total(postgres) == (2, 12, 2, 12)


def test_costs_that_are_computed_anew_follow(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5, 7)
    shipper = Shipper(db, postgres, 3)
    shipper.ship()
    with transaction(db):
        change_costs(db, [Change(1, 5, 50)])
    shipper.ship()
    assert total(postgres) == (2, 57, 2, 57)


def test_sums_that_postgresql_has_lost_are_given_again(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5, 7)
    shipper = Shipper(db, postgres, 3)
    shipper.ship()
    postgres.run("UPDATE airoxy.daily SET cost_nanousd = 1")
    shipper.reconcile()
    assert total(postgres) == (2, 12, 2, 12)


def test_rows_that_postgresql_has_lost_with_its_mark_are_given_again(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5)
    shipper = Shipper(db, postgres, 3)
    shipper.ship()
    append(db, 7)
    shipper.ship()
    # What a standby that was behind has.
    postgres.run("DELETE FROM airoxy.requests WHERE id = 2; UPDATE airoxy.hosts SET shipped = 1")
    again = Postgres(url)
    postgres.close()
    eventually(lambda: not again.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    identity.assume(db, again, keep_days=3)
    shipper = Shipper(db, again, 3)
    shipper.ship()
    shipper.reconcile()
    assert total(again) == (2, 12, 2, 12)


def test_rows_are_on_the_disk_before_they_are_given(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5, 7)
    told = []
    db.setexectrace(lambda _, sql, __: told.append(sql) or True)
    Shipper(db, postgres, 3).ship()
    assert any("FULL" in sql for sql in told)
    assert membership.membership(db).synced == 2


def test_a_database_that_is_older_than_the_fleets_gives_nothing(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5)
    open_copy(db, tmp_path / "old.db").close()
    append(db, 7)
    Shipper(db, postgres, 3).ship()
    postgres.close()
    old, again = open_database(tmp_path / "old.db"), Postgres(url)
    eventually(lambda: not again.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    with pytest.raises(identity.NotItself, match="older than what the fleet has"):
        identity.assume(old, again, keep_days=3)
    assert total(again) == (2, 12, 2, 12)


def open_copy(db: apsw.Connection, path: Path) -> apsw.Connection:
    copy = apsw.Connection(str(path))
    with copy.backup("main", db, "main") as backup:
        backup.step()
    return copy


def test_a_copy_of_the_database_gives_nothing_and_joins_anew(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    append(db, 5)
    Shipper(db, postgres, 3).ship()
    copied = open_copy(db, tmp_path / "copy.db")
    copied.close()
    append(db, 7)
    # The original's agent starts once more.
    postgres.close()
    again = Postgres(url)
    eventually(lambda: not again.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    identity.assume(db, again, keep_days=3)
    Shipper(db, again, 3).ship()
    copy, other = open_database(tmp_path / "copy.db"), Postgres(url)
    append(copy, 1)
    with pytest.raises(identity.AgentRuns):
        identity.assume(copy, other, keep_days=3)
    again.close()
    eventually(lambda: not other.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    with pytest.raises(identity.NotItself, match="--anew"):
        identity.assume(copy, other, keep_days=3)
    other.close()
    copy.close()
    copy, other = join(tmp_path / "copy.db", url, "copy", anew=True)
    shipper = Shipper(copy, other, 3)
    shipper.ship()
    shipper.reconcile()
    # 5 and 7 of the original, 1 of the copy: the 5 that both have is there once.
    assert total(other) == (3, 13, 3, 13)


def test_an_older_airoxy_gives_nothing_to_newer_tables(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    postgres.run("UPDATE airoxy.fleet SET schema = 99")
    with pytest.raises(FleetError, match="newer airoxy"):
        schema.prepare(postgres, db)


def test_a_column_that_a_newer_airoxy_has_is_added_and_older_rows_still_come(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    run(db, "ALTER TABLE requests ADD COLUMN extra INTEGER NOT NULL DEFAULT 4")
    schema.prepare(postgres, db)
    append(db, 5)
    Shipper(db, postgres, 3).ship()
    assert postgres.run("SELECT extra FROM airoxy.requests") == [(4,)]
    # One that does not know the column.
    run(db, "ALTER TABLE requests DROP COLUMN extra")
    append(db, 5)
    Shipper(db, postgres, 3).ship()
    assert postgres.run("SELECT extra FROM airoxy.requests ORDER BY id") == [(4,), (0,)]


def test_old_days_are_dropped_as_a_whole(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    with transaction(db):
        requests.append(db, [row(time.time() - n * 86400, 5) for n in range(5)])
    shipper = Shipper(db, postgres, 9)
    shipper.ship()
    assert len(schema.days(postgres)) == 5
    postgres.run("UPDATE airoxy.hosts SET keep_days = 3")
    shipper.drop_old(time.time())
    assert len(schema.days(postgres)) == 4
    assert total(postgres)[2:] == (5, 25)


def test_a_text_that_postgresql_cannot_have_keeps_no_row_from_it(tmp_path, url):
    db, postgres = join(tmp_path / "a.db", url, first=True)
    with transaction(db):
        requests.append(db, [row(time.time(), 5, model="odd\0name")])
    Shipper(db, postgres, 3).ship()
    assert total(postgres) == (1, 5, 1, 5)


def test_a_postgresql_that_hangs_is_given_up(url, cluster: Cluster, monkeypatch):
    postgres = Postgres(url)
    monkeypatch.setattr("airoxy.fleet.postgres.PATIENCE", 0.2)
    cluster.hang()
    try:
        with pytest.raises(FleetError, match="has not answered"):
            postgres.run("SELECT 1")
    finally:
        cluster.hang(go_on=True)
