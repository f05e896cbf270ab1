"""Old costs by new prices."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.core.billing.cost_inputs import UNKNOWN, cost_inputs_of
from airoxy.core.billing.pricing import PriceTable
from airoxy.core.billing.usage import Usage
from airoxy.jobs.recost import recost
from airoxy.store import migrations
from airoxy.store.schema import open_database, run
from airoxy.store.usage import costs, requests
from tests.jobs.killing import work_killed
from tests.store.seed import TODAY, append, days_ago, row

OPUS = "claude-opus-5-5"
#: A dollar, two … six dollars for a million tokens.
PRICES = PriceTable.parse(
    [{"model": "claude*", "input": 1, "output": 2, "write_5m": 3, "write_1h": 4, "read": 5}]
)
#: What a plain row costs by that: 10 + 40 + 90 + 160 + 250 thousandths, and a web search.
PLAIN = 550_000 + 10_000_000

RECOST = """
from airoxy.jobs.recost import recost
from tests.jobs.test_recost import PRICES, TODAY
recost(db, PRICES, TODAY, pause=lambda seconds: None)
"""


def in_all(db: apsw.Connection) -> tuple[int, int]:
    """The costs of rows and of sums."""
    ((rows,),) = run(db, "SELECT sum(cost_nanousd) FROM requests")
    return rows, requests.totals(db)["cost_nanousd"]


def test_rows_and_sums_have_the_new_cost(db: apsw.Connection) -> None:
    append(db, row(), row(token_id=None), row(model="claude-x"), row(model=None))
    done = recost(db, PRICES, TODAY)
    unknown = 50_000 + 500_000 + 187_500 + 400_000 + 25_000 + 10_000_000
    assert asdict(done) == {
        "rows": 4, "changed": 4, "before": 4_000_000, "after": 3 * PLAIN + unknown, "unknown": 0
    }  # fmt: skip
    assert in_all(db) == (3 * PLAIN + unknown,) * 2
    models = {group["model"]: group["cost_nanousd"] for group in requests.totals_by(db, "model")}
    assert models == {OPUS: 2 * PLAIN, "claude-x": PLAIN, None: unknown}


def test_a_second_time_changes_nothing(db: apsw.Connection) -> None:
    append(db, row())
    recost(db, PRICES, TODAY)
    wal = Path(f"{db.filename}-wal")
    before = wal.read_bytes()
    assert asdict(recost(db, PRICES, TODAY)) | {"rows": 0} == dict.fromkeys(
        asdict(recost(db, PRICES, TODAY)), 0
    )
    assert wal.read_bytes() == before


def test_only_the_days_from_that_one_on_change(db: apsw.Connection) -> None:
    append(db, row(days_ago(1), "23:59:59.999"), row(TODAY, "00:00:00"), row(days_ago(1)))
    assert recost(db, PRICES, TODAY).changed == 1
    costs = [r["cost_nanousd"] for r in requests.newest(db, limit=3)]
    assert costs == [1_000_000, PLAIN, 1_000_000]


def test_a_day_has_the_prices_of_that_day(db: apsw.Connection) -> None:
    prices = PRICES.merged(
        PriceTable.parse(
            [{"model": "claude*", "from": TODAY, "input": 0, "output": 0}
             | {"write_5m": 0, "write_1h": 0, "read": 0}]
        )
    )  # fmt: skip
    append(db, row(days_ago(1)), row())
    recost(db, prices, days_ago(9))
    assert [r["cost_nanousd"] for r in requests.newest(db, limit=3)] == [10_000_000, PLAIN]


@pytest.mark.parametrize(
    ("changes", "cost"),
    [
        ({"batch": True}, 15_000),
        ({"model": "claude-other"}, 30_000),
        ({"batch": True, "requests": 2}, 15_000),
    ],
)
def test_what_was_not_plain_is_computed_from_what_was_kept(
    db: apsw.Connection, changes: dict[str, Any], cost: int
) -> None:
    part = Usage(**{"model": OPUS, "input_tokens": 10, "output_tokens": 10} | changes)
    append(db, row(cost_inputs=cost_inputs_of([part], OPUS)))
    recost(db, PRICES, TODAY)
    assert in_all(db) == (cost, cost)


def test_what_nobody_knows_keeps_its_cost_and_is_told(db: apsw.Connection) -> None:
    nothing = requests.without_counts(row())._replace(cost_inputs=UNKNOWN)
    append(db, row(cost_inputs=UNKNOWN), row(cost_inputs="{"), row(), nothing)
    done = recost(db, PRICES, TODAY)
    assert (done.changed, done.unknown) == (1, 2)
    assert in_all(db) == (2_000_000 + PLAIN,) * 2


def test_rows_from_before_bases_were_kept_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    steps, place = migrations.MIGRATIONS, migrations.MIGRATIONS.index(migrations._BASIS)
    try:
        migrations.MIGRATIONS = steps[:place]
        db = open_database(path)
        had = [name for (name,) in run(db, "SELECT name FROM pragma_table_info('requests')")]
        fields = dict(zip(requests.COLUMNS, requests.values(row()), strict=True))
        fields = {name: value for name, value in fields.items() if name in had}
        marks = ", ".join("?" * len(fields))
        run(db, f"INSERT INTO requests ({', '.join(fields)}) VALUES ({marks})", [*fields.values()])
        db.close()
    finally:
        migrations.MIGRATIONS = steps
    db = open_database(path)
    append(db, row())
    assert recost(db, PRICES, TODAY).unknown == 1
    db.close()


def test_a_dry_run_tells_the_same_and_writes_nothing(db: apsw.Connection) -> None:
    append(db, *[row()] * 3, row(cost_inputs=UNKNOWN))
    wal = Path(f"{db.filename}-wal")
    before = wal.read_bytes()
    told = recost(db, PRICES, TODAY, dry_run=True)
    assert wal.read_bytes() == before
    assert told == recost(db, PRICES, TODAY)


def test_what_is_tidied_meanwhile_keeps_its_cost_in_the_sums(
    db: apsw.Connection, other: apsw.Connection
) -> None:
    """And new rows that come are left alone; rows and sums agree at every moment."""
    append(db, *[row(days_ago(n % 2)) for n in range(2000)])
    deleted = written = 0

    def pause(_seconds: float) -> None:
        nonlocal deleted, written
        assert in_all(other)[0] == in_all(other)[1] - deleted
        gone = run(
            other,
            "DELETE FROM requests WHERE id IN (SELECT id FROM requests ORDER BY id DESC LIMIT 2)"
            " RETURNING cost_nanousd",
        )
        deleted += sum(cost for (cost,) in gone)
        append(other, row())
        written += 1

    done = recost(db, PRICES, days_ago(9), pause=pause)
    assert written > 2
    assert done.changed < 2000
    assert in_all(db)[0] == in_all(db)[1] - deleted


def test_killed_at_any_moment_and_run_again_rows_and_sums_agree(tmp_path: Path) -> None:
    path = tmp_path / "airoxy.db"
    db = open_database(path)
    append(db, *[row(api_key_id=n % 7) for n in range(2000)])
    db.close()
    for kill_at in (30, 60, 120, 0):
        work_killed(path, kill_at, RECOST)
        db = open_database(path)
        assert in_all(db)[0] == in_all(db)[1]
        db.close()
    db = open_database(path)
    assert in_all(db) == (2000 * PLAIN,) * 2
    db.close()


def test_a_cost_that_somebody_else_changed_is_left(db: apsw.Connection) -> None:
    append(db, row())
    assert costs.change_costs(db, [costs.Change(1, 7, 8)]) == []
    assert in_all(db) == (1_000_000,) * 2
