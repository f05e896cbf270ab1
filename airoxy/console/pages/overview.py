"""The overview: how things are."""

from __future__ import annotations

from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.store.tokens import list_tokens
from airoxy.store.usage.daily import totals
from airoxy.views import tokens as views


def show(visit: Visit) -> Reply:
    today = visit.today
    listed = list_tokens(visit.db, visit.now)
    values = {
        "today": totals(visit.db, since=today),
        "month": totals(visit.db, since=today.replace(day=1)),
        "tokens": [{**row, "state": views.state(row, visit.now)} for row in listed],
    }
    return Rendered("overview.html", values)


ROUTES = (page("/", show),)
