"""The account in detail."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.calendar import DAY_MS, start_ms
from airoxy.core.billing.usage import counts_of
from airoxy.store import keys, tokens
from airoxy.store.schema import run, transaction
from airoxy.store.usage import requests
from airoxy.store.usage.first_tables import BLOCK
from tests.store.seed import TODAY, add_key, add_token, append, days_ago, row

# The fields of a request, as the specification lists them.
FIELDS = [
    *("id", "requested_at", "api_key_id", "api_key_name", "token_id", "token_name"),
    *("endpoint", "model", "is_stream", "input_tokens", "output_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"),
    *("web_search_requests", "cost_nanousd", "status_code", "error_message", "ending"),
    *("attempts", "ttfb_ms", "duration_ms", "request_id", "is_estimate", "uncounted"),
    *("moved", "move_cost_nanousd", "client_address", "group_id", "group_name"),
]


def told(db: apsw.Connection, **wanted: Any) -> list[int]:
    """The ids of the newest requests; `day` is one in UTC."""
    if (day := wanted.pop("day", None)) is not None:
        wanted |= {"since_ms": start_ms(day), "until_ms": start_ms(day) + DAY_MS}
    return [request["id"] for request in requests.newest(db, **{"limit": 100} | wanted)]


def test_a_request_is_told_with_all_its_fields_in_order(db: apsw.Connection) -> None:
    add_key(db, "alice")
    add_token(db, "console")
    append(db, row(time="12:00:00.007", status_code=529, error_message="Overloaded"))
    (request,) = requests.newest(db, limit=1)
    assert list(request) == FIELDS
    assert request == {
        "id": 1,
        "requested_at": "2026-11-22T12:00:00.007Z",
        "api_key_id": 1,
        "api_key_name": "alice",
        "token_id": 1,
        "token_name": "console",
        "endpoint": "/v1/messages",
        "model": "claude-opus-5-5",
        "is_stream": True,
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_write_5m_tokens": 30,
        "cache_write_1h_tokens": 40,
        "cache_read_tokens": 50,
        "web_search_requests": 1,
        "cost_nanousd": 1_000_000,
        "status_code": 529,
        "error_message": "Overloaded",
        "ending": "complete",
        "attempts": 1,
        "ttfb_ms": 300,
        "duration_ms": 4000,
        "request_id": "req_test",
        "is_estimate": False,
        "uncounted": False,
        "moved": False,
        "move_cost_nanousd": 0,
        "client_address": None,
        "group_id": None,
        "group_name": None,
    }
    assert json.loads(json.dumps(request)) == request


@pytest.mark.parametrize("many", [0, 1, 7, 8, 9, 23])
def test_rows_that_come_together_are_written_as_they_come(db: apsw.Connection, many: int) -> None:
    rows = [
        row(input_tokens=n, token_id=n or None, model="m" * n or None, request_id=f"req_{n}")
        for n in range(many)
    ]
    append(db, *rows)
    written = f"SELECT {', '.join(requests.COLUMNS)} FROM requests ORDER BY id"
    assert run(db, written) == [requests.values(each) for each in rows]
    sums = requests.totals(db)
    assert (sums["requests"], sums["input_tokens"]) == (many, sum(range(many)))


@pytest.mark.parametrize(
    "unusual",
    [
        {"status_code": 201},
        {"error_message": "Overloaded"},
        {"ending": "client_left"},
        {"attempts": 2},
        {"cost_inputs": "{}"},
        {"is_estimate": True},
        {"uncounted": True},
        {"moved": True},
        {"move_cost_nanousd": 7},
        {"web_search_requests": 2},
        {"client_address": "192.0.2.1"},
        {"group_id": 1},
    ],
    ids=lambda unusual: next(iter(unusual)),
)
def test_a_row_that_is_not_as_usual_is_written_as_it_is_among_others(
    db: apsw.Connection, unusual: dict[str, Any]
) -> None:
    for at in (0, 31, 32, 39, 40):  # of 32, of eight, and by itself
        rows = [row(**(unusual if n == at else {}), request_id=f"req_{n}") for n in range(41)]
        append(db, *rows)
        written = f"SELECT {', '.join(requests.COLUMNS)} FROM requests ORDER BY id"
        assert run(db, written)[-41:] == [requests.values(each) for each in rows]


@pytest.mark.parametrize("rows", [1, 8, 32, 45])
def test_rows_of_which_some_texts_are_the_same_are_written_as_they_are(
    db: apsw.Connection, rows: int
) -> None:
    texts = {
        "endpoint": ("/v1/messages", "/v1/complete"),
        "model": (None, "claude-one"),
        "client_address": ("192.0.2.1", None),
        "error_message": (None, "odd"),
    }
    for differ in itertools.product((0, 1), repeat=len(texts)):
        said = dict(zip(texts, differ, strict=True))
        written = [
            row(
                **{name: both[said[name] * each % 2] for name, both in texts.items()},
                request_id=f"req_{each}",
            )
            for each in range(rows)
        ]
        append(db, *written)
        everything = f"SELECT {', '.join(requests.COLUMNS)} FROM requests ORDER BY id"
        assert run(db, everything)[-rows:] == [requests.values(each) for each in written]


def test_rows_of_groups_with_their_clients_addresses_are_usual(db: apsw.Connection) -> None:
    statements: list[str] = []

    def trace(_: apsw.Cursor, sql: str, __: Any) -> bool:
        statements.append(sql)
        return True

    usual = [row(request_id=f"req_{n}", web_search_requests=0) for n in range(41)]
    db.setexectrace(trace)
    append(db, *usual)
    append(db, *(each._replace(client_address="192.0.2.1", group_id=1) for each in usual))
    db.setexectrace(None)
    inserts = [sql for sql in statements if sql.startswith("INSERT INTO requests")]
    assert len(inserts) == 6
    assert inserts[:3] == inserts[3:]
    assert "'complete'" in inserts[0]


def test_the_view_for_other_programs_has_these_columns(db: apsw.Connection) -> None:
    columns = run(db, "SELECT name FROM pragma_table_info('request_log')")
    assert [name for (name,) in columns] == FIELDS


@pytest.mark.parametrize("time", ["00:00:00", "00:00:00.001", "09:59:59.999", "23:59:59.999"])
def test_times_are_told_to_the_millisecond(db: apsw.Connection, time: str) -> None:
    append(db, row(time=time))
    (request,) = requests.newest(db, limit=1)
    assert (
        request["requested_at"]
        == f"2026-11-22T{time.partition('.')[0]}." + (time.partition(".")[2] or "000") + "Z"
    )


def test_what_was_never_known_is_null(db: apsw.Connection) -> None:
    append(db, row(token_id=None, model=None, ttfb_ms=None, request_id=None, is_stream=False))
    (request,) = requests.newest(db, limit=1)
    unknown = ("api_key_name", "token_id", "token_name", "model", "ttfb_ms", "request_id")
    assert [request[name] for name in unknown] == [None] * 6
    assert request["is_stream"] is False


def test_history_keeps_the_names_of_what_was_removed(db: apsw.Connection) -> None:
    append(db, row(api_key_id=add_key(db, "alice"), token_id=add_token(db, "console")))
    keys.remove_key(db, 1, 0)
    tokens.remove_token(db, 1, 0)
    add_key(db, "alice")
    (request,) = requests.newest(db, limit=1)
    assert (request["api_key_name"], request["token_name"]) == ("alice", "console")


def test_the_last_written_is_the_first_told(db: apsw.Connection) -> None:
    append(db, row(), row(), row())
    assert told(db, limit=2) == [3, 2]


def test_a_day_ends_at_midnight(db: apsw.Connection) -> None:
    append(
        db,
        row(days_ago(1), "23:59:59.999"),
        row(TODAY, "00:00:00"),
        row(TODAY, "23:59:59.999"),
        row(days_ago(-1), "00:00:00"),
    )
    assert told(db, day=TODAY) == [3, 2]
    assert told(db, day=days_ago(1)) == [1]
    assert told(db, day=days_ago(9)) == []


def test_every_filter_tells_what_a_look_at_each_row_would(db: apsw.Connection) -> None:
    """Over many blocks, with rows whose times are not in the order of their ids."""
    chance = random.Random(3)
    rows = [
        row(
            days_ago(chance.choice([0, 0, 0, 1, 2, 9])),
            f"{chance.randrange(24):02}:00:00",
            api_key_id=chance.choice([1] * 50 + [2] * 5 + [3]),
            token_id=chance.choice([1] * 50 + [2] * 5 + [None]),
        )
        for _ in range(3 * BLOCK)
    ]
    rows[5] = row(days_ago(5), api_key_id=4, token_id=4)
    append(db, *rows)
    every = requests.newest(db, limit=len(rows))
    assert [r["id"] for r in every] == list(range(len(rows), 0, -1))
    filters = itertools.product(
        [None, 0, 1, 2, 5, 7], [None, 1, 3, 4, 9], [None, 1, 2, 4], [None, 7, 2 * BLOCK + 9]
    )
    for days, key, token, after in chance.sample(list(filters), 80):
        day = None if days is None else days_ago(days)
        expected = [
            r["id"]
            for r in every
            if (day is None or r["requested_at"][:10] == f"{day}")
            and (key is None or r["api_key_id"] == key)
            and (token is None or r["token_id"] == token)
            and (after is None or r["id"] > after)
        ]
        expected = expected if after is None else expected[::-1]
        limit = chance.choice([5, 500])
        got = told(db, limit=limit, day=day, key_id=key, token_id=token, after_id=after)
        assert got == expected[:limit], (day, key, token, after, limit)


def test_a_filter_admits_the_rows_that_it_finds(db: apsw.Connection) -> None:
    chance = random.Random(5)
    models = ("claude-opus-5", "claude-opus-5[1m]", "CLAUDE-x", None, "a*b", "line\nend")
    append(db, *(
        row(
            days_ago(chance.randrange(3)), f"12:00:00.{chance.randrange(1000):03}",
            api_key_id=chance.randrange(1, 4), token_id=chance.choice([1, 2, None]),
            group_id=chance.choice([7, None]), model=chance.choice(models),
            status_code=chance.choice([200, 400, 429, 500]), request_id=chance.choice(["r1", "r2"]),
            ending=chance.choice(["complete", "client_left", "upstream_failed"]),
        )
        for _ in range(300)
    ))  # fmt: skip
    every = requests.newest(db, limit=300)
    noon = start_ms(days_ago(1)) + DAY_MS // 2
    values: dict[str, list[Any]] = {
        "key_id": [1, 9], "token_id": [1, 2], "group_id": [7], "request_id": ["r1", "x"],
        "failed": [True, False], "statuses": [(400, 500), (429, 430), (200, 201, 500, 600)],
        "model": ["claude-*", "a*b,claude-h*", "*[1m]", "*", "a*b", "claude-opus-?", "line*end"],
        "since_ms": [noon + chance.randrange(1000) for _ in range(30)],
        "until_ms": [noon + chance.randrange(1000) for _ in range(30)],
    }  # fmt: skip
    for name, choices in values.items():
        for value in choices:
            other, more = chance.choice([("failed", True), ("key_id", 2), (name, value)])
            wanted = requests.Filter()._replace(**{name: value, other: more})
            found = requests.newest(db, limit=300, wanted=wanted)
            assert found == [each for each in every if wanted.admits(each)], wanted


def test_what_comes_after_an_id_is_told_in_its_order(db: apsw.Connection) -> None:
    append(db, *[row()] * 5)
    assert told(db, after_id=2) == [3, 4, 5]
    assert told(db, after_id=2, limit=2) == [3, 4]
    assert requests.last_id(db) == 5
    assert told(db, after_id=5) == []


def test_ids_rise_even_when_everything_was_deleted(db: apsw.Connection) -> None:
    append(db, *[row(days_ago(9))] * 3)
    assert requests.delete_slice(db, TODAY, 100) == 3
    append(db, row())
    assert told(db) == [4]
    assert told(db, after_id=3) == [4]


def test_rows_are_deleted_by_their_day_and_not_by_their_order(db: apsw.Connection) -> None:
    append(db, row(days_ago(4)), row(), row(days_ago(3), "00:00:00"), row(days_ago(4), "23:59:59"))
    assert requests.delete_slice(db, days_ago(3), 1) == 1
    assert requests.delete_slice(db, days_ago(3), 100) == 1
    assert requests.delete_slice(db, days_ago(3), 100) == 0
    assert told(db) == [3, 2]


def test_the_sparse_index_forgets_what_was_deleted(db: apsw.Connection) -> None:
    append(db, *[row(days_ago(9), api_key_id=i % 7) for i in range(2 * BLOCK)])
    append(db, *[row(api_key_id=i % 3) for i in range(BLOCK)])
    assert run(db, "SELECT DISTINCT block FROM blocks") == [(0,), (1,), (2,), (3,)]
    while requests.delete_slice(db, days_ago(3), 1000) == 1000:
        pass
    assert run(db, "SELECT block, api_key_id FROM blocks") == [(2, 0), (2, 1), (2, 2), (3, 0)]
    assert len(told(db, limit=99999, key_id=2)) == BLOCK // 3


def test_nothing_to_delete_writes_nothing(db: apsw.Connection) -> None:
    append(db, *[row()] * 10)
    wal = Path(f"{db.filename}-wal")
    before = wal.read_bytes()
    with transaction(db):
        assert requests.delete_slice(db, TODAY, 100) == 0
    assert wal.read_bytes() == before


def test_without_counts_a_request_is_still_a_request() -> None:
    counted = row(status_code=418)
    plain = requests.without_counts(counted)
    assert (plain.status_code, plain.model) == (418, counted.model)
    assert not any(counts_of(plain.usage))
