"""Tidying the log: what goes, what stays, and that nobody notices."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import apsw
import pytest

from airoxy.jobs import slices
from airoxy.jobs.tidy import tidy_log
from airoxy.store import resources, tokens
from airoxy.store.schema import open_database, run, transaction
from airoxy.store.usage import requests
from tests.conftest import NOON
from tests.jobs.killing import work_killed
from tests.store.seed import TODAY, add_key, add_token, append, days_ago, row

TIDY = f"""
from airoxy.jobs.tidy import tidy_log
tidy_log(db, 3, {NOON}, pause=lambda seconds: None)
"""


def no_pause(_seconds: float) -> None:
    pass


def count(db: apsw.Connection) -> int:
    return int(run(db, "SELECT count(*) FROM requests")[0][0])


def test_three_whole_days_and_today_are_kept(db: apsw.Connection) -> None:
    append(
        db,
        row(days_ago(30)),
        row(days_ago(4), "23:59:59.999"),
        row(days_ago(3), "00:00:00"),
        row(TODAY),
    )
    tidied = tidy_log(db, 3, NOON)
    assert [r["id"] for r in requests.newest(db, limit=9)] == [4, 3]
    assert str(tidied).startswith("2 detailed rows from before 2026-11-19 deleted")


def test_at_least_today_is_kept(db: apsw.Connection) -> None:
    append(db, row(days_ago(1), "23:59:59.999"), row(TODAY, "00:00:00"))
    tidy_log(db, 0, NOON)
    assert [r["id"] for r in requests.newest(db, limit=9)] == [2]


def test_nothing_to_do_writes_nothing(db: apsw.Connection) -> None:
    append(db, row())
    wal = Path(f"{db.filename}-wal")
    before = wal.read_bytes()
    assert str(tidy_log(db, 3, NOON)).startswith("Nothing to tidy")
    assert wal.read_bytes() == before


def known(db: apsw.Connection) -> list[str]:
    return [id_ for (id_,) in run(db, "SELECT id FROM resources ORDER BY id")]


def test_a_batch_is_forgotten_when_anthropic_has_forgotten_its_results(
    db: apsw.Connection,
) -> None:
    token = add_token(db, "one")
    resources.remember_resource(db, "msgbatch_new", token, 1, NOON - 29 * 86400)
    resources.remember_resource(db, "msgbatch_old", token, 1, NOON - 31 * 86400)
    resources.remember_resource(db, "file_old", token, 1, NOON - 3100 * 86400)
    tokens.remove_token(db, add_token(db, "other"), NOON)
    assert tidy_log(db, 3, NOON).forgotten == 1
    assert known(db) == ["file_old", "msgbatch_new"]


def test_a_removed_tokens_files_are_forgotten_and_its_batches_stay_counted(
    db: apsw.Connection,
) -> None:
    stays, goes = add_token(db, "one"), add_token(db, "two")
    resources.remember_resource(db, "file_one", stays, 1, NOON)
    resources.remember_resource(db, "file_two", goes, 1, NOON)
    resources.claim_results(db, "msgbatch_two", goes, 1, NOON, range(2))
    tokens.remove_token(db, goes, NOON)
    assert "1 batches and files forgotten" in str(tidy_log(db, 3, NOON))
    assert known(db) == ["file_one", "msgbatch_two"]
    assert not resources.claim_results(db, "msgbatch_two", stays, 1, NOON, range(2))


def test_all_are_looked_at_in_slices(db: apsw.Connection) -> None:
    token, pauses = add_token(db, "one"), []
    with transaction(db):
        for number in range(3000):
            resources.remember_resource(db, f"msgbatch_{number}", token, 1, (number % 2) * NOON)
    assert tidy_log(db, 3, NOON, pauses.append).forgotten == 1500
    assert len(known(db)) == 1500
    assert len(pauses) > 2


def test_the_totals_are_right_at_every_moment(db: apsw.Connection, other: apsw.Connection) -> None:
    """And others can write in every pause."""
    append(db, *[row(days_ago(n % 10)) for n in range(3000)])
    expected = 3000
    pauses = 0

    def pause(_seconds: float) -> None:
        nonlocal expected, pauses
        append(other, row(), row(days_ago(9)))
        expected += 2
        pauses += 1
        assert requests.totals(other)["requests"] == expected

    tidy_log(db, 3, NOON, pause)
    assert pauses > 2
    assert requests.totals(db)["requests"] == expected
    assert count(db) == 1200 + pauses


def test_killed_at_any_moment_and_run_again_the_totals_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "airoxy.db"
    db = open_database(path)
    append(db, *[row(days_ago(n % 10), api_key_id=n % 7) for n in range(6000)])
    totals, by_day = requests.totals(db), requests.totals_by(db, "day")
    db.close()
    # The whole work is some 800 calls of `step`; the last run goes through.
    for kill_at in [random.randrange(1, 130) for _ in range(5)] + [0]:
        work_killed(path, kill_at, TIDY)
        db = open_database(path)
        assert requests.totals(db) == totals
        assert requests.totals_by(db, "day") == by_day
        assert run(db, "PRAGMA integrity_check") == [("ok",)]
        left = count(db)
        assert len(requests.newest(db, limit=99_999)) == left >= 2400
        db.close()
    assert left == 2400


def test_two_at_once_do_the_work_together(db: apsw.Connection) -> None:
    append(db, *[row(days_ago(n % 10)) for n in range(5000)])
    before = requests.totals(db)
    done = []

    def work() -> None:
        mine = open_database(Path(db.filename))
        done.append(tidy_log(mine, 3, NOON, no_pause).rows)
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 3000
    assert (count(db), requests.totals(db)) == (2000, before)


def test_freed_space_is_given_back_and_a_part_kept_for_tomorrow(db: apsw.Connection) -> None:
    empty = run(db, "PRAGMA page_count")[0][0]
    append(db, *[row(days_ago(9))] * 20_000, row())
    before = run(db, "PRAGMA page_count")[0][0]
    tidied = tidy_log(db, 3, NOON, no_pause)
    pages = run(db, "PRAGMA page_count")[0][0]
    assert tidied.freed == (before - pages) * 4096
    assert pages < before / 5 + empty
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert Path(db.filename).stat().st_size == pages * 4096


@pytest.mark.parametrize(("wanted", "most"), [(1e-9, slices.LEAST), (1e9, slices.MOST)])
def test_slices_are_as_large_as_their_time_allows(
    db: apsw.Connection, monkeypatch: pytest.MonkeyPatch, wanted: float, most: int
) -> None:
    asked: list[int] = []

    def work(limit: int) -> int:
        asked.append(limit)
        return limit if len(asked) < 10 else 0

    monkeypatch.setattr(slices, "SLICE", wanted)
    slices.in_slices(db, work, no_pause)
    assert asked[0] == slices.FIRST
    assert asked[-1] == most


def test_a_lock_is_left_to_others_for_as_long_as_it_was_held(
    db: apsw.Connection, other: apsw.Connection
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        add_key(other, f"key-{len(pauses)}")

    append(db, *[row(days_ago(9))] * 2000)
    tidy_log(db, 3, NOON, pause)
    assert pauses
    assert min(pauses) > 0
