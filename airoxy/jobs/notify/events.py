"""What an operator is warned of: what holds now, each with the period in which it is told once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.core.limits.measures import Spend
from airoxy.core.limits.table import LIMITS, Limits
from airoxy.core.pool import EVERYTHING, Scope
from airoxy.store import groups, keys, notices, tokens
from airoxy.store.limits import limits_in_force, recorded_use
from airoxy.store.usage import days
from airoxy.views.formats import dollars
from airoxy.views.tokens import SPENDING

#: How long before its end a certificate or key is warned of (seconds).
SOON = 14 * 86_400
#: Refusals of a refresh in a row, or seconds left of a token that cannot be refreshed.
_REPEATED, _AT_RISK = 2, 1800
#: How long no token was ready, or rows could not be written, before that is warned of (seconds).
UNREADY, UNWRITTEN = 300, 60


class Event(NamedTuple):
    """`name` and `subject` are for programs, `text` for people; the same event is told once in a
    `period`."""

    name: str
    subject: str
    period: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.name} {self.subject}".strip()


class Surroundings(NamedTuple):
    """What the database does not tell: the server's /health, empty where it was not asked, and when
    its certificate ends."""

    health: Mapping[str, Any] = {}
    certificate_ends: float | None = None


def find_events(
    db: apsw.Connection, around: Surroundings, at: float, now: float
) -> Iterator[Event]:
    """All that holds now; `at` is the share of a limit that is told of before it is reached."""
    listed = tokens.list_tokens(db, now)
    yield from _limits(db, at, now)
    for token in listed:
        yield from _of_token(db, token, at, now)
    yield from _ends(db, around.certificate_ends, now)
    yield from _lasting(db, listed, around.health, now)


def _limits(db: apsw.Connection, at: float, now: float) -> Iterator[Event]:
    names = {key["id"]: key["name"] for key in keys.list_keys(db)}
    for number, limits in limits_in_force(db).items():
        if limits.spend:
            name = f"The API key {names.get(number, number)}"
            yield from _spending(db, limits, number, f"key:{number}", name, at, now)
    for group_id, holder in groups.limits_of_groups(db).items():
        if holder.limits.spend:
            number = group_id + GROUPS_FROM
            subject = f"group:{group_id}"
            yield from _spending(db, holder.limits, number, subject, holder.subject, at, now)


def _spending(
    db: apsw.Connection,
    limits: Limits,
    number: int,
    subject: str,
    name: str,
    at: float,
    now: float,
) -> Iterator[Event]:
    use, today = recorded_use(db, number, now), days.today(db, now)
    for limit in LIMITS:
        most = getattr(limits, limit.name)
        if most is None or not isinstance(limit.measure, Spend):
            continue
        of = limit.measure.period
        spent = limit.measure.used(use) or 0
        # A limit that was raised is another one, of which can be told again.
        period = f"{of.first(today)} {most}"
        words = f"{dollars(spent)} of {dollars(most)} {of.of or f'per {of.name}'}"
        yield from _share(
            f"{subject}:{of.name}", period, f"{name} has spent {words}", spent, most, at
        )


def _share(
    subject: str, period: str, text: str, spent: int, most: int, at: float
) -> Iterator[Event]:
    if spent >= most:
        yield Event("limit_reached", subject, period, f"{text}: the limit is reached.")
    elif spent >= most * at:
        yield Event("limit_near", subject, period, f"{text} ({spent / most:.0%}).")


def _of_token(
    db: apsw.Connection, token: Mapping[str, Any], at: float, now: float
) -> Iterator[Event]:
    number, name = token["id"], token["name"]
    today = days.today(db, now)
    for of, first in (("day", today), ("month", today.replace(day=1))):
        most = token[f"spend_per_{of}_nanousd"]
        spent = token["spent_today_nanousd" if of == "day" else "spent_this_month_nanousd"]
        if most:
            words = f"{dollars(spent)} of {dollars(most)} per {of}"
            text = f"The upstream token {name} has spent {words}"
            yield from _share(f"token:{number}:{of}", f"{first} {most}", text, spent, most, at)
    if not token["is_active"] and token["inactive_reason"]:
        text = f"The upstream token {name} is inactive: {token['inactive_reason']}."
        yield Event("token_inactive", f"token:{number}", str(token["inactive_since"]), text)
    elif _refresh_fails(token, now):
        since = str(token["refreshed_at"] or token["created_at"])
        text = f"The upstream token {name} could not be refreshed; airoxy tries again."
        yield Event("refresh_failed", f"token:{number}", since, text)


def _refresh_fails(token: Mapping[str, Any], now: float) -> bool:
    """A failure that passes is no news: either Anthropic has refused twice, or no try has come to
    anything and little is left of the access token."""
    if token["refresh_failures"] >= _REPEATED:
        return True
    failing = token["refresh_failures"] or token["retry_refresh_at"]
    return bool(failing and token["expires_at"] and token["expires_at"] < now + _AT_RISK)


def _ends(db: apsw.Connection, certificate_ends: float | None, now: float) -> Iterator[Event]:
    if certificate_ends is not None and certificate_ends < now + SOON:
        text = f"The TLS certificate {_ending(certificate_ends, now)}."
        yield Event("certificate_ends", "", str(int(certificate_ends)), text)
    for key in keys.list_keys(db):
        end = key["expires_at"]
        # One that was made for some days only surprises nobody.
        if end is None or not key["is_active"] or not key["created_at"] < end - SOON < now:
            continue
        text = f"The API key {key['name']} {_ending(end, now)}."
        yield Event("key_ends", f"key:{key['id']}", str(end), text)


def _ending(end: float, now: float) -> str:
    left = int((end - now) // 86_400)
    if end <= now:
        return "has expired"
    return f"expires in {left} day{'' if left == 1 else 's'}" if left else "expires today"


def _lasting(
    db: apsw.Connection, listed: list[dict[str, Any]], health: Mapping[str, Any], now: float
) -> Iterator[Event]:
    unready = bool(listed) and not any(_is_ready(token, now) for token in listed)
    since = notices.lasts(db, "no_token_ready", unready, now)
    if since is not None and now - since >= UNREADY:
        text = "For five minutes no upstream token has been ready: airoxy token list"
        yield Event("no_token_ready", "", str(since), text)
    trouble = health.get("warning") or ("rows were lost" if health.get("log_rows_dropped") else "")
    since = notices.lasts(db, "rows_unwritten", bool(trouble), now)
    if since is not None and now - since >= UNWRITTEN:
        text = f"The usage log cannot be written: {trouble}."
        yield Event("rows_unwritten", "", str(since), text)


def _is_ready(token: Mapping[str, Any], now: float) -> bool:
    """Whether a request of some model may get it."""
    if not token["is_active"] or (token["expires_at"] or now + 1) <= now:
        return False
    if any(token[most] and token[spent] >= token[most] for _, most, spent in SPENDING):
        return False
    scopes = (Scope(each["group"], each["model_class"]) for each in token["coolings"])
    return EVERYTHING not in scopes
