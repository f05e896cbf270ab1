"""The client keys: all of them, one of them, and what its forms do."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from airoxy.config.defaults import default_limits
from airoxy.console.api.keys import KEY
from airoxy.console.forms import limit_fields, number_of, read_limits, read_texts
from airoxy.console.hosts.sight import with_spending
from airoxy.console.pages.figures import by_model, first_of_chart, request_lines, with_meters
from airoxy.console.pages.one import OnePage
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.core.keys import new_key
from airoxy.core.limits.table import LIMITS
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import groups, keys
from airoxy.store.limits import set_limits
from airoxy.store.usage import requests
from airoxy.store.usage.past import spent_by_key
from airoxy.views import keys as views
from airoxy.views import paste

#: Keys on a page, and requests on a key's own.
_ON_A_PAGE, _LAST = 100, 20
_DAY = 86_400
#: For how long an old secret may still be good after a rotation, as the form offers it (seconds).
OVERLAPS = ((_DAY, "for a day"), (7 * _DAY, "for a week"), (3600, "for an hour"), (0, "not at all"))


def show_all(visit: Visit, trouble: str = "", status: int = 200) -> Reply:
    """The list, searched and sorted."""
    with with_spending(visit) as (seen, sight):
        values = {**_listed(seen), "sight": sight, "trouble": trouble}
        return Rendered("keys.html", values, status)


def _listed(visit: Visit) -> dict[str, Any]:
    searched, order = visit.query.get("q", "").strip(), visit.query.get("sort", "today")
    spent = spent_by_key(visit.db, visit.services.past, visit.today)
    rows = [
        {**key, **{name: spent.get(key["id"], {}).get(name, 0) for name in ("day", "month")}}
        for key in keys.list_keys(visit.db)
        if searched.lower() in f"{key['name']} {key['group_name'] or ''} {key['masked']}".lower()
    ]
    rows.sort(key=_ORDERS.get(order, _ORDERS["today"]))
    first = _number(visit.query.get("from", ""))
    shown = rows[first : first + _ON_A_PAGE]
    return {
        "rows": with_meters(visit, shown, spent),
        "count": len(rows),
        "first": first,
        "next": first + _ON_A_PAGE if first + _ON_A_PAGE < len(rows) else None,
        "searched": searched,
        "order": order if order in _ORDERS else "today",
        "fields": limit_fields(LIMITS, default_limits(visit.config, visit.moment)),
        "groups": groups.list_groups(visit.db)[1:],
        "typed": visit.form,
    }


_ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "today": lambda row: (-row["day"], -row["month"], row["name"].lower()),
    "month": lambda row: (-row["month"], row["name"].lower()),
    "name": lambda row: row["name"].lower(),
    "newest": lambda row: -row["id"],
}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def add(visit: Visit) -> Reply:
    """A new key; its secret is shown this once."""
    secret = new_key(secrets.choice)
    try:
        changes = _changes(visit)
        name = changes.pop("name", "")
        if not name:
            raise InvalidInput("Say whom the key is for.")
        changes |= _group(visit)
        wanted = {column: value for column, value in changes.items() if value is not None}
        key_id = keys.add_key(visit.db, name, secret, visit.now, wanted)
    except AiroxyError as error:
        return show_all(visit, error.message, error.status)
    return _one(visit, key_id, secret=secret, told="The key is made.")


def _one(
    visit: Visit, key_id: int, *, secret: str = "", told: str = "", trouble: str = "",
    status: int = 200,
) -> Reply:  # fmt: skip
    """A key with its limits, its use and its last requests."""
    with with_spending(visit, first_of_chart(visit.today)) as (seen, sight):
        key = views.with_use(visit.db, keys.find_key(visit.db, key_id), visit.now)
        chart = by_model(seen, key_id=key_id)
    last = requests.newest(visit.db, limit=_LAST, wanted=requests.Filter(key_id=key_id))
    values = {
        "key": key,
        "sight": sight,
        "group": next(
            (g for g in groups.list_groups(visit.db) if g["id"] == key["group_id"]), None
        ),
        "groups": groups.list_groups(visit.db)[1:],
        "state": views.state(key, visit.now),
        "meters": views.meters(key, visit.zone),
        "old_secrets": views.old_secrets(key, visit.zone),
        "fields": limit_fields(LIMITS, key),
        "chart_of_days": chart,
        "requests": request_lines(visit, last),
        "overlaps": OVERLAPS,
        "secret": secret,
        "paste": paste.block(paste.base_url(visit.config), secret) if secret else "",
        "told": told,
        **ONE.again(visit, key_id, trouble, status),
    }
    return Rendered("key.html", values, status)


def _changes(visit: Visit) -> dict[str, Any]:
    return {**read_limits(LIMITS, visit.form, visit.moment), **read_texts(visit.form)}


def _group(visit: Visit) -> dict[str, int | None]:
    if "group" not in visit.form:
        return {}
    text = visit.form["group"]
    return {
        "group_id": groups.find_group(visit.db, number_of(text, "group"))["id"] if text else None
    }


def _rotate(visit: Visit, key_id: int) -> Reply:
    overlap = _number(visit.form.get("overlap", "0"))
    if overlap not in dict(OVERLAPS):
        raise InvalidInput("Say for how long the old secret is still good.")
    secret = new_key(secrets.choice)
    keys.rotate_key(visit.db, key_id, secret, overlap, visit.now)
    return _one(visit, key_id, secret=secret, told="The key has a new secret.")


ONE = OnePage(
    "key", "/keys", KEY, _one, _changes,
    save=lambda visit, number, changes: set_limits(visit.db, number, changes | _group(visit)),
    remove=lambda visit, number: keys.remove_key(visit.db, number, visit.now),
    actions={
        "enable": lambda visit, number: keys.set_active(visit.db, number, active=True),
        "disable": lambda visit, number: keys.set_active(visit.db, number, active=False),
        "rotate": _rotate,
    },
)  # fmt: skip

ROUTES = (page("/keys", show_all, add), ONE.route)
