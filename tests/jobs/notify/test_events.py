"""What an operator is warned of, and when it is told again."""

from __future__ import annotations

from typing import Any

import apsw
import pytest

from airoxy.core.limits.holders import EVERYBODY
from airoxy.jobs.notify.events import SOON, UNREADY, Event, Surroundings, find_events
from airoxy.store import groups, keys, tokens
from airoxy.store.limits import set_limits
from tests.conftest import NOON
from tests.store.seed import add_key, add_login, add_token, append, row

DAY = 86_400


def events(
    db: apsw.Connection, now: float = NOON, at: float = 0.8, **around: Any
) -> dict[str, Event]:
    found = list(find_events(db, Surroundings(**around), at, now))
    assert len({(event.key, event.period) for event in found}) == len(found)
    return {event.key: event for event in found}


def test_nothing_is_the_matter_with_an_installation_that_works(db: apsw.Connection) -> None:
    add_key(db, "alice")
    add_token(db, "console")
    append(db, row())
    assert events(db, health={"status": "ok", "log_rows_waiting": 3}) == {}


@pytest.mark.parametrize(
    ("spent", "expected"),
    [(79, []), (80, ["limit_near"]), (99, ["limit_near"]), (100, ["limit_reached"]),
     (120, ["limit_reached"])],
)  # fmt: skip
def test_a_key_is_told_of_when_its_limit_is_near_and_when_it_is_reached(
    db: apsw.Connection, spent: int, expected: list[str]
) -> None:
    key = add_key(db, "alice")
    set_limits(db, key, {"spend_per_day_nanousd": 100, "requests_per_minute": 1})
    append(db, row(cost_nanousd=spent))
    found = events(db)
    assert [event.name for event in found.values()] == expected
    assert all("The API key alice has spent" in event.text for event in found.values())


def test_a_limit_is_told_of_once_in_its_period_and_anew_when_it_is_raised(
    db: apsw.Connection,
) -> None:
    key = add_key(db, "alice")
    limits = {"spend_per_day_nanousd": 100, "spend_per_month_nanousd": 100}
    set_limits(db, key, limits | {"spend_total_nanousd": 100})
    append(db, row(cost_nanousd=100))
    first = events(db)
    assert set(first) == {f"limit_reached key:{key}:{of}" for of in ("day", "month", "total")}
    later = events(db, NOON + 3600)
    assert {key: event.period for key, event in later.items()} == {
        key: event.period for key, event in first.items()
    }
    assert f"limit_reached key:{key}:day" not in events(db, NOON + DAY)
    set_limits(db, key, {"spend_per_month_nanousd": 110})
    raised = events(db)[f"limit_near key:{key}:month"]
    assert raised.period != first[f"limit_reached key:{key}:month"].period


def test_a_group_and_a_token_have_limits_as_well(db: apsw.Connection) -> None:
    token = add_token(db, "console")
    tokens.set_token(db, token, {"spend_per_day_nanousd": 1000})
    groups.set_group(db, EVERYBODY, {"spend_per_month_nanousd": 1000})
    append(db, row(cost_nanousd=950))
    found = events(db)
    everybody = found[f"limit_near group:{EVERYBODY}:month"].text
    assert everybody.startswith("The group of all API keys has spent")
    assert f"limit_near token:{token}:day" in found
    assert "The upstream token console has spent" in found[f"limit_near token:{token}:day"].text


def test_a_token_that_anthropic_refuses_is_told_of_and_one_that_was_disabled_is_not(
    db: apsw.Connection,
) -> None:
    refused, disabled = add_token(db, "refused"), add_token(db, "disabled")
    add_token(db, "good")
    tokens.deactivate(db, refused, "invalid x-api-key", "sk-ant-api-test-refused", NOON)
    tokens.set_active(db, disabled, False, NOON)
    found = events(db)
    assert list(found) == [f"token_inactive token:{refused}"]
    text = found[f"token_inactive token:{refused}"].text
    assert text == "The upstream token refused is inactive: invalid x-api-key."


def test_a_refresh_that_fails_is_told_of_until_one_succeeds(db: apsw.Connection) -> None:
    login = add_login(db, "max", int(NOON) + DAY)
    db.cursor().execute("UPDATE tokens SET refresh_failures = 2")
    first = events(db)[f"refresh_failed token:{login}"]
    db.cursor().execute("UPDATE tokens SET refresh_failures = 0, refreshed_at = ?", (int(NOON),))
    assert events(db) == {}
    db.cursor().execute("UPDATE tokens SET refresh_failures = 2")
    assert events(db)[f"refresh_failed token:{login}"].period != first.period


@pytest.mark.parametrize(
    ("left", "failures", "retry_at", "told"),
    [
        (7200, 1, NOON + 60, False),
        (7200, 2, NOON + 60, True),
        (1700, 1, NOON + 60, True),
        (7200, 0, NOON + 60, False),  # Anthropic cannot be reached
        (1700, 0, NOON + 60, True),
        (-60, 0, NOON + 60, True),
        (1700, 0, None, False),
    ],
)
def test_a_refresh_that_fails_in_passing_is_told_of_once_the_token_is_at_risk(
    db: apsw.Connection, left: int, failures: int, retry_at: float | None, told: bool
) -> None:
    add_login(db, "max", int(NOON) + left)
    db.cursor().execute(
        "UPDATE tokens SET refresh_failures = ?, retry_refresh_at = ?", (failures, retry_at)
    )
    assert bool(events(db)) == told


def test_what_ends_within_fourteen_days_is_told_of(db: apsw.Connection) -> None:
    key, brief = add_key(db, "alice"), keys.add_key(db, "brief", "ak-test-brief", NOON)
    set_limits(db, key, {"expires_at": int(NOON) + SOON - 60})
    set_limits(db, brief, {"expires_at": int(NOON) + DAY})
    found = events(db, certificate_ends=NOON + 3 * DAY + 60)
    assert {event.text for event in found.values()} == {
        "The TLS certificate expires in 3 days.",
        "The API key alice expires in 13 days.",
    }
    assert events(db, NOON - 120, certificate_ends=NOON + SOON) == {}
    assert "has expired" in events(db, certificate_ends=NOON - 1)["certificate_ends"].text


def test_no_token_being_ready_is_told_of_after_five_minutes(db: apsw.Connection) -> None:
    token = add_token(db, "console")
    tokens.set_active(db, token, False, NOON)
    assert events(db, NOON) == events(db, NOON + UNREADY - 1) == {}
    assert "no_token_ready" in events(db, NOON + UNREADY)
    tokens.set_active(db, token, True, NOON)
    assert events(db, NOON + UNREADY + 60) == {}
    tokens.set_active(db, token, False, NOON)
    assert events(db, NOON + UNREADY + 120) == {}


def test_rows_that_are_not_written_are_told_of_when_that_lasts(db: apsw.Connection) -> None:
    bad = {"warning": "disk full"}
    assert events(db, health=bad) == {}
    found = events(db, NOON + 61, health=bad)
    assert found["rows_unwritten"].text == "The usage log cannot be written: disk full."
    assert events(db, NOON + 120, health={}) == {}
