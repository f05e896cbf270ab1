"""The pages of the console, and where each of them is."""

from __future__ import annotations

from airoxy.console.pages import account, login, overview

ROUTES = (*login.ROUTES, *account.ROUTES, *overview.ROUTES)
