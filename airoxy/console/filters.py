"""Filters as they stand in a URL of the console's pages and of its API."""

from __future__ import annotations

from typing import Any

from airoxy.console.visit import Visit
from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.statuses import typed_statuses
from airoxy.errors import InvalidInput, NotFound
from airoxy.store.names import all_names, find_id
from airoxy.store.usage import requests
from airoxy.views.times import typed_moment

#: Whose usage is meant, by the table in which they are.
WHOSE = {"key": "api_keys", "token": "tokens", "group": "groups"}
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


def log_filter(visit: Visit) -> requests.Filter:
    """Which requests of the usage log the query asks for. Raises InvalidInput and NotFound for what
    cannot be understood."""
    given = {name: text for name, value in visit.query.items() if (text := value.strip())}
    status = given.get("status", "")
    found: dict[str, Any] = {
        **whose(visit),
        **{f"{name}_ms": milliseconds(visit, name) for name in ("since", "until")},
        "failed": True if status == "failed" else is_true(visit, "failed"),
        "statuses": typed_statuses(status) if status not in ("", "failed") else None,
        "model": given.get("model"),
        "request_id": given.get("request"),
    }
    found |= _searched(visit, given["q"]) if "q" in given else {}
    return requests.Filter(**found)


def whose(visit: Visit) -> dict[str, int | None]:
    """Whose usage is meant: as `named`, but the group of all keys is no filter. Raises NotFound."""
    found = named(visit)
    if found["group_id"] == EVERYBODY:
        found["group_id"] = None
    return found


def named(visit: Visit) -> dict[str, int | None]:
    """The ids of key, token and group that are meant by an id or a name, also of what was removed.
    Raises NotFound."""
    found: dict[str, int | None] = {}
    for name, table in WHOSE.items():
        text = visit.query.get(name, "").strip()
        found[f"{name}_id"] = find_id(visit.db, table, text, removed=True) if text else None
    return found


def moment(visit: Visit, name: str) -> float | None:
    """The Unix time that is meant. Raises InvalidInput."""
    text = visit.query.get(name, "").strip()
    return typed_moment(text, visit.now, name, visit.zone) if text else None


def is_true(visit: Visit, name: str) -> bool | None:
    """None where it is not said. Raises InvalidInput."""
    text = visit.query.get(name, "").strip().lower()
    if text in _TRUE:
        return True
    if text and text not in _FALSE:
        raise InvalidInput(f"{name} is true or false.")
    return False if text else None


def find_request(visit: Visit, text: str) -> dict[str, Any]:
    """A row of the usage log by its number. Raises NotFound."""
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        found = requests.newest(visit.db, limit=1, after_id=int(text) - 1)
        if found and found[0]["id"] == int(text):
            return found[0]
    raise NotFound(f"There is no request {text} in the log, or not any more.")


def milliseconds(visit: Visit, name: str) -> int | None:
    """The same in milliseconds. Raises InvalidInput."""
    when = moment(visit, name)
    return None if when is None else round(when * 1000)


def _searched(visit: Visit, q: str) -> dict[str, Any]:
    """A word without a field is a request's id, a key, a token, a group, or else a part of a
    model's name."""
    if q.startswith("req_"):
        return {"request_id": q}
    for name, table in WHOSE.items():
        known = all_names(visit.db, table).items()
        ids = [number for number, each in known if each.lower() == q.lower()]
        if ids and ids[-1] != EVERYBODY:
            return {f"{name}_id": ids[-1]}
    return {"model": q if set("*?") & set(q) else f"*{q}*"}
