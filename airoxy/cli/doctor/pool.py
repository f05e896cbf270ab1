"""Checks of the client keys and of the tokens that can serve their requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation
from airoxy.core.pool import EVERYTHING
from airoxy.errors import AiroxyError
from airoxy.views.times import span

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")
Row = Mapping[str, Any]


def keys(installation: Installation) -> Iterator[Finding]:
    """Somebody can use airoxy."""
    from airoxy.store import keys

    rows = ask(installation, keys.list_keys)
    if isinstance(rows, str):
        yield Finding(WARN, rows)
    elif not rows:
        text = "There is no client key yet, so nobody can use the tokens."
        yield Finding(WARN, text, "sudo airoxy api-key add --name NAME")
    elif not any(row["is_active"] for row in rows):
        text = "Every client key is disabled, so nobody can use the tokens."
        yield Finding(WARN, text, "sudo airoxy api-key toggle ID")
    else:
        active = sum(row["is_active"] for row in rows)
        yield Finding(OK, f"{active} of {len(rows)} client keys are active.")
        if isinstance(names := ask(installation, keys.sharing_as_before), list) and names:
            text = (
                f"Keys from before 1.1 still share their files and batches ({', '.join(names)});"
                " keys made since share none."
            )
            remedy = "sudo airoxy api-key set ID --share-resources none (or all, to leave it so)"
            yield Finding(WARN, text, remedy)


def tokens(installation: Installation) -> Iterator[Finding]:
    """Requests can be forwarded."""
    from airoxy.store import tokens

    now = installation.context.now()
    rows = ask(installation, lambda db: tokens.list_tokens(db, now))
    if isinstance(rows, str):
        yield Finding(WARN, rows)
    elif not rows:
        text = "There is no token yet, so no request can be forwarded."
        yield Finding(WARN, text, "sudo airoxy token add --name NAME")
    else:
        yield from filter(None, (_trouble(installation, row, now) for row in rows))
        yield _pool(rows, now)


def ask(installation: Installation, question: Callable[[apsw.Connection], T]) -> T | str:
    """The database's answer, or why there is none; its faults are another check's."""
    import apsw

    from airoxy.store.file.inspection import open_as_it_is

    def work() -> T:
        with closing(open_as_it_is(installation.database, installation.key)) as db:
            return question(db)

    try:
        return installation.as_owner(work)
    except (AiroxyError, OSError, apsw.Error):
        return "Not looked at: the database cannot be read as it is."


def _trouble(installation: Installation, row: Row, now: float) -> Finding | None:
    """What is wrong with one token. Whether it is the last one, `_pool` says."""
    who, number = f"Token {row['id']} ({row['name']})", row["id"]
    if not row["is_active"]:
        if not row["inactive_reason"]:
            return None  # somebody wanted it so
        text = f"{who} is not used any more: {row['inactive_reason']}."
        remedy = f"Add it anew, or give it another chance: sudo airoxy token reset {number}"
        return Finding(WARN, text, remedy)
    if _expired(row, now):
        text = f"{who} expired {span(now - row['expires_at'])} ago."
        fix = partial(_refresh, installation, number) if row["type"] == "oauth" else None
        return Finding(WARN, text, f"sudo airoxy token refresh --id {number}", fix)
    if row["refresh_interrupted_at"]:
        text = (
            f"The last refresh of {who[0].lower()}{who[1:]} was interrupted, and may have spent its"
            f" refresh token; it serves for {span(row['expires_at'] - now)}."
        )
        remedy = f"Log in anew and add it again, or try: sudo airoxy token refresh --id {number}"
        return Finding(WARN, text, remedy)
    if row["refresh_failures"]:
        text = f"{who} could not be refreshed {row['refresh_failures']} times in a row."
        return Finding(WARN, text, f"sudo airoxy token refresh --id {number} says why.")
    return None


def _pool(rows: list[dict[str, Any]], now: float) -> Finding:
    able = [row for row in rows if row["is_active"] and row["is_readable"]]
    usable = [row for row in able if not _expired(row, now)]
    if not usable:
        text = f"None of the {len(rows)} tokens can be used, so no request can be forwarded."
        return Finding(FAIL, text, "sudo airoxy token list")
    resting = [
        row
        for row in usable
        if any((c["group"], c["model_class"]) == EVERYTHING for c in row["coolings"])
    ]
    if len(resting) == len(usable):
        first = min(cooling["until"] for row in resting for cooling in row["coolings"])
        text = f"Every usable token is cooling; the first is ready in {span(first - now)}."
        return Finding(WARN, text, "It passes; another token would help meanwhile.")
    ready = len(usable) - len(resting)
    return Finding(OK, f"{ready} of {len(rows)} tokens are ready.")


def _expired(row: Row, now: float) -> bool:
    return row["expires_at"] is not None and row["expires_at"] <= now


def _refresh(installation: Installation, token_id: int) -> str:
    """As the timer does it."""
    from airoxy.jobs.refresh import refresh_token
    from airoxy.store.leases import refreshing
    from airoxy.store.schema import open_database

    def work() -> list[tuple[bool, str]]:
        with closing(open_database(installation.database, key=installation.key)) as db:
            oauth, clock = installation.config.oauth, installation.context.clock
            outcomes = [
                refresh_token(db, state.id, state.token, oauth, clock)
                for state in refreshing(db, token_id)
            ]
        return [(outcome.renewed, outcome.message) for outcome in outcomes]

    ((renewed, message),) = installation.as_owner(work) or [(False, "it has no refresh token.")]
    if not renewed:
        raise AiroxyError(message)
    return f"Token {token_id} is {message}."
