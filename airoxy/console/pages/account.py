"""The user's own account: passphrase and sessions."""

from __future__ import annotations

from airoxy.console.passphrases import SHORTEST, hashed, matches
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, SeeOther, Visit
from airoxy.errors import Forbidden, InvalidInput
from airoxy.store.console import sessions, users


def set_passphrase(visit: Visit) -> Reply:
    """Who has one shows it first. All other sessions end: one of them may be why it is changed."""
    user, form = _user(visit), visit.form
    names = (("user", user.name),)
    if wait := visit.services.throttle.wait(names, visit.now):
        return _page(visit, f"Too many tries; wait for {wait:.0f} s.", 429)
    if user.passphrase and not matches(form.get("old", ""), user.passphrase):
        visit.services.throttle.failed(names, visit.now)
        return _page(visit, "The present passphrase is not right.", 403)
    if form.get("new") != form.get("again"):
        return _page(visit, "The two are not the same.", 400)
    try:
        users.set_passphrase(visit.db, user.id, hashed(form.get("new", "")))
    except InvalidInput as error:
        return _page(visit, error.message, 400)
    sessions.end_others(visit.db, user.id, visit.visitor.session)
    return SeeOther("/account?done=passphrase")


def end_session(visit: Visit) -> Reply:
    """One of the user's own."""
    number = visit.params["number"]
    if number.isascii() and number.isdecimal() and len(number) < 18:
        sessions.end(visit.db, _user(visit).id, int(number))
    return SeeOther("/account")


def _page(visit: Visit, trouble: str = "", status: int = 200) -> Reply:
    """The form for the passphrase, and where the user is logged in."""
    user = _user(visit)
    values = {
        "trouble": trouble,
        "done": visit.query.get("done") == "passphrase",
        "has_passphrase": user.passphrase is not None,
        "shortest": SHORTEST,
        "sessions": sessions.of_user(visit.db, user.id, visit.now),
    }
    return Rendered("account.html", values, status)


def _user(visit: Visit) -> users.ConsoleUser:
    user = users.find_user(visit.db, visit.visitor.name)
    if user is None or user.id != visit.visitor.user:
        raise Forbidden("This is for people.")
    return user


ROUTES = (
    page("/account", _page, set_passphrase, for_all=True),
    page("/account/sessions/{number}/end", None, end_session, for_all=True),
)
