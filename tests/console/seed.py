"""A database as one finds it after years: for looking at the console's pages, and timing them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import apsw

from airoxy.core.billing.usage import Usage
from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.pool import EVERYTHING
from airoxy.core.quota import QuotaWindow
from airoxy.store import groups, keys, tokens
from airoxy.store.audit.trail import Actor, act_as
from airoxy.store.limits import set_limits
from airoxy.store.schema import transaction
from airoxy.store.usage.requests import Row, append

MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2")
_DAY = 86_400
_DOLLAR = 1_000_000_000
#: Names of all kinds, and of all lengths.
_LONG = "nightly-evaluation-of-the-whole-retrieval-benchmark-in-frankfurt"
_NAMES = ("laptop-anna", "laptop-ben", "ci", "editor", "日本語のキー", _LONG, "Zoë", "bot")
_FAILURES = (
    (429, "This API key has spent its limit of a day.", "complete"),
    (529, "Overloaded", "complete"),
    (400, "messages.0.content: Input should be a valid list", "complete"),
    (502, "The connection to the upstream broke off before the answer was whole; nothing of it was"
          " sent to the client, and no other token was ready.", "upstream_failed"),
)  # fmt: skip


def fill(
    db: apsw.Connection, now: float, *, key_count: int, token_count: int, rows: int, days: int
) -> None:
    """Keys, groups and tokens, a log of the last 30 days, and sums of so many days before."""
    chance = random.Random(1)
    act_as(db, Actor("maria", via="console"))
    with transaction(db):
        _add_groups(db, now)
        _add_keys(db, now, key_count)
        _add_tokens(db, now, token_count)
    with transaction(db):
        _add_sums(db, now, chance, key_count, token_count, days)
    batch: list[Row] = []
    for row in _rows(now, chance, rows, key_count, token_count):
        batch.append(row)
        if len(batch) == 50_000:
            with transaction(db):
                append(db, batch)
            batch = []
    with transaction(db):
        append(db, batch)


def _add_groups(db: apsw.Connection, now: float) -> None:
    groups.set_group(db, EVERYBODY, {"spend_per_day_nanousd": 40 * _DOLLAR})
    for name in ("web", "data", "research"):
        groups.add_group(db, name, now, {"spend_per_week_nanousd": 900 * _DOLLAR})


def _add_keys(db: apsw.Connection, now: float, count: int) -> None:
    for number in range(count):
        name = _NAMES[number] if number < len(_NAMES) else f"laptop-{number:04}"
        key_id = keys.add_key(db, name, f"ak-{number:043}", now - (count - number) * 900)
        limits: dict[str, object] = {"group_id": EVERYBODY + 1 + number % 3} if number % 4 else {}
        if number % 3 != 2:
            limits["spend_per_day_nanousd"] = (1 + number % 7) * 2 * _DOLLAR
        if number % 5 == 1:
            limits |= {"spend_per_month_nanousd": 250 * _DOLLAR, "requests_per_minute": 60}
        if limits:
            set_limits(db, key_id, limits)
        if number % 40 == 17:
            keys.set_active(db, key_id, active=False)


def _add_tokens(db: apsw.Connection, now: float, count: int) -> None:
    for number in range(count):
        is_oauth = number % 3 != 2
        token_id = tokens.add_token(
            db,
            name=("max-anna", "max-ben", "work", "old-org")[number] if number < 4 else f"t{number}",
            type="oauth" if is_oauth else "api_key",
            token=f"sk-ant-{'oat' if is_oauth else 'api'}-seeded-{number:040}",
            refresh_token=f"sk-ant-ort-seeded-{number:040}" if is_oauth else None,
            expires_at=int(now) + 20_000 if is_oauth else None,
            now=now - 40 * _DAY,
        )
        if is_oauth:
            used = (0.62, 0.96, 0.31)[number % 3]
            windows = {
                "5h": QuotaWindow(used, now + 7000), "7d": QuotaWindow(used / 2, now + 4 * _DAY)
            }  # fmt: skip
            tokens.note_quota(db, token_id, windows, now)
        if number % 10 == 3:
            tokens.cool(
                db, token_id, EVERYTHING, now + 2460, "credit balance is too low", int(now * 1e9)
            )


def _add_sums(
    db: apsw.Connection,
    now: float,
    chance: random.Random,
    key_count: int,
    token_count: int,
    days: int,
) -> None:
    """Those of days whose rows are long gone: of each day a part of the keys."""
    today = int(now) // _DAY
    statement = (
        "INSERT OR IGNORE INTO daily (day, api_key_id, token_id, model, requests, failed,"
        " input_tokens, output_tokens, cache_write_5m_tokens, cache_write_1h_tokens,"
        " cache_read_tokens, web_search_requests, cost_nanousd)"
        " VALUES (?, ?, ?, ?, 40, 1, 90000, 9000, 5000, 0, 400000, 0, ?)"
    )
    db.cursor().executemany(
        statement,
        (
            (today - back, 1 + key, 1 + key % token_count, MODELS[(key + back) % 4],
             chance.randrange(_DOLLAR // 100, _DOLLAR // 10))
            for back in range(31, days)
            for key in range(back % 3, key_count, 3)
        ),
    )  # fmt: skip


def _rows(
    now: float, chance: random.Random, count: int, key_count: int, token_count: int
) -> Iterator[Row]:
    first, step = (now - 30 * _DAY) * 1000, 30 * _DAY * 1000 / max(count, 1)
    # All together cost as much as some dozen dollars a day.
    price = max(1, 700 * _DOLLAR // max(count, 1))
    for number in range(count):
        key = min(key_count - 1, int(key_count * chance.random() ** 3))
        # A conversation stays with its token, so that a key has few of them in a day.
        token = 1 + (key + chance.randrange(3)) % token_count
        failed = _FAILURES[chance.randrange(4)] if chance.random() < 0.01 else None
        model = MODELS[min(3, int(4 * chance.random() ** 1.5))]
        usage = Usage(model, input_tokens=chance.randrange(200, 9000),
                      output_tokens=chance.randrange(10, 3000),
                      cache_read_tokens=chance.randrange(90_000))  # fmt: skip
        yield Row(
            int(first + number * step), key + 1, token, "/v1/messages",
            model, chance.random() < 0.8, Usage() if failed else usage,
            0 if failed else chance.randrange(2 * price), failed[0] if failed else 200,
            failed[1] if failed else None, failed[2] if failed else "complete", 1,
            chance.randrange(200, 2500), chance.randrange(900, 60_000), f"req_seeded_{number}",
            client_address="192.0.2.7",
        )  # fmt: skip
