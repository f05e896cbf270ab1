"""The pages of the console, and where each of them is."""

from __future__ import annotations

from airoxy.console.pages import (
    account,
    groups,
    keys,
    log,
    login,
    overview,
    records,
    reports,
    tokens,
)

ROUTES = (
    *login.ROUTES, *account.ROUTES, *overview.ROUTES, *keys.ROUTES, *groups.ROUTES, *tokens.ROUTES,
    *log.ROUTES, *reports.ROUTES, *records.ROUTES,
)  # fmt: skip
