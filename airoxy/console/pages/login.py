"""Logging in, by passphrase or by a link that works once, and logging out."""

from __future__ import annotations

import logging

from airoxy.console.passphrases import matches
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, SeeOther, Visit
from airoxy.core.names import NAME_LENGTH
from airoxy.store.console import sessions, users

log = logging.getLogger(__name__)

_WRONG = "That is not right: no user has this name with this passphrase."
_USED = "This link has been used, or is older than 15 minutes."


def show_login(visit: Visit) -> Reply:
    """The form; where nobody could use it, how to make a user."""
    if visit.who is not None:
        return SeeOther(_next(visit))
    return _form(visit)


def log_in(visit: Visit) -> Reply:
    """By name and passphrase. Whether it is the name or the passphrase that is wrong is not told,
    neither by words nor by time."""
    name = visit.form.get("name", "").strip()[:NAME_LENGTH]
    names = (("user", name), ("address", visit.address))
    if wait := visit.services.throttle.wait(names, visit.now):
        return _form(visit, f"Too many tries; wait for {wait:.0f} s.", status=429, name=name)
    user = users.find_user(visit.db, name)
    if not matches(visit.form.get("passphrase", ""), user.passphrase if user else None):
        visit.services.throttle.failed(names, visit.now)
        log.warning("Login as %s from %s failed", _quoted(name), visit.address)
        return _form(visit, _WRONG, status=403, name=name)
    assert user
    visit.services.throttle.succeeded(names)
    return _begin(visit, user, _next(visit), "passphrase")


def show_link(visit: Visit) -> Reply:
    """A link is used by a button: what looks at links before people do must not use them up."""
    user = users.linked_user(visit.db, visit.params["secret"], visit.now)
    if user is None:
        return _form(visit, _USED, status=410)
    return Rendered("link.html", {"name": user.name, "role": user.role})


def use_link(visit: Visit) -> Reply:
    """Once. Nobody guesses its secret, so nobody is slowed down."""
    user = users.use_link(visit.db, visit.params["secret"], visit.now)
    if user is None:
        log.warning("Login by a link from %s failed", visit.address)
        return _form(visit, _USED, status=410)
    return _begin(visit, user, "/" if user.passphrase else "/account", "link")


def log_out(visit: Visit) -> Reply:
    """This session is over."""
    who = visit.visitor
    if who.user is not None and who.session is not None:
        sessions.end(visit.db, who.user, who.session)
    return SeeOther("/login", secret="")


def _begin(visit: Visit, user: users.ConsoleUser, location: str, how: str) -> Reply:
    secret = sessions.begin(
        visit.db, user.id, visit.now, address=visit.address, agent=visit.agent, old=visit.secret
    )
    log.info("%s has logged in by %s from %s", _quoted(user.name), how, visit.address)
    return SeeOther(location, secret=secret)


def _form(visit: Visit, trouble: str = "", *, status: int = 200, name: str = "") -> Reply:
    values = {
        "trouble": trouble,
        "name": name,
        "next": _next(visit),
        "is_empty": users.is_empty(visit.db),
    }
    return Rendered("login.html", values, status)


def _next(visit: Visit) -> str:
    """Where to go on: a path of ours, and no address of somebody else's."""
    wanted = visit.form.get("next") or visit.query.get("next") or "/"
    plain = wanted.startswith("/") and wanted.isprintable() and wanted.isascii()
    strange = wanted.startswith(("//", "/login", "/link/")) or "\\" in wanted
    return wanted if plain and not strange else "/"


def _quoted(name: str) -> str:
    """What was typed, in one line of the journal."""
    return ascii(name)


ROUTES = (
    page("/login", show_login, log_in, for_all=True),
    page("/link/{secret}", show_link, use_link, for_all=True),
    page("/logout", None, log_out, for_all=True),
)
