"""Logging in by links and passphrases, and what becomes of sessions."""

from __future__ import annotations

import time

import pytest

from airoxy.console.passphrases import hashed, matches
from airoxy.errors import InvalidInput
from airoxy.store.console import sessions, users
from tests.console.running import Browser, location

GOOD = "correct horse battery"


def set_passphrase(browser: Browser, new: str = GOOD, **more: str) -> None:
    done = browser.post("/account", new=new, again=new, **more)
    assert (done.status, location(done)) == (303, "/account"), done


def test_without_a_user_the_login_says_how_to_make_one(make_console):
    page = make_console().start().browser().get("/login")
    assert page.status == 200
    assert "airoxy console user add NAME --role admin" in page.text
    assert "<form" not in page.text


def test_a_link_logs_in_once_and_only_by_its_button(console):
    link = console.user("linked")
    browser = console.browser()
    for _ in range(2):  # what looks at links before a person does changes nothing
        assert "Log in as linked" in browser.get(link).text
    done = browser.post(link)
    assert (done.status, location(done)) == (303, "/account")
    assert "linked" in browser.get("/").text
    again = console.browser().post(link)
    assert again.status == 410
    assert "has been used" in again.text


def test_a_link_ends_after_fifteen_minutes_and_a_new_one_ends_the_old(console):
    with console.opened() as db:
        number = users.add_user(db, "late", users.VIEWER, time.time())
        old = users.new_link(db, number, time.time() - 901)
        assert users.linked_user(db, old, time.time()) is None
        first, second = (users.new_link(db, number, time.time()) for _ in range(2))
    assert console.browser().post(f"/link/{first}").status == 410
    assert console.browser().post(f"/link/{second}").status == 303


def test_a_passphrase_logs_in_and_leads_to_the_page_that_was_wanted(console):
    set_passphrase(console.browser("phrased"))
    browser = console.browser()
    wanted = browser.get("/account?x=1")
    assert (wanted.status, wanted.headers["location"]) == (303, "/login?next=%2Faccount%3Fx%3D1")
    done = browser.post("/login", name="phrased", passphrase=GOOD, next="/account?x=1")
    assert (done.status, done.headers["location"]) == (303, "/account?x=1")
    assert browser.get("/account").status == 200


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/login", "\r\nx: y"],
)
def test_the_login_leads_to_no_page_of_somebody_elses(console, elsewhere):
    browser = console.browser()
    done = browser.post(console.user(f"to {elsewhere.strip()}"), next=elsewhere)
    assert location(done) == "/account"
    with console.opened() as db:
        number = users.user_id(db, f"to {elsewhere.strip()}")
        users.set_passphrase(db, number, hashed(GOOD))
    name = f"to {elsewhere.strip()}"
    done = console.browser().post("/login", name=name, passphrase=GOOD, next=elsewhere)
    assert done.headers["location"] == "/"


def test_an_unknown_user_and_a_wrong_passphrase_are_answered_alike(console):
    set_passphrase(console.browser("known"))
    answers = [
        console.browser().post("/login", name=name, passphrase="not this one")
        for name in ("known", "knowm")
    ]
    assert [answer.status for answer in answers] == [403, 403]
    assert answers[0].text.replace("known", "knowm") == answers[1].text


def test_a_passphrase_is_compared_even_where_there_is_none(monkeypatch):
    computed = []
    monkeypatch.setattr("airoxy.console.passphrases._scrypt", lambda *a: computed.append(a) or b"")
    assert not matches("x", None)
    assert len(computed) == 1


def test_failures_are_told_in_the_journal_without_what_was_typed(console):
    set_passphrase(console.browser("slowed"))
    console.browser().post("/login", name="slowed", passphrase="not this one")
    assert "Login as 'slowed' from 127.0.0.1 failed" in console.told
    assert GOOD not in console.told
    assert "not this one" not in console.told


def test_what_is_typed_as_a_name_makes_no_line_of_the_journal(make_console):
    console = make_console().start()
    console.browser().post("/login", name="x\n<0>forged", passphrase="y")
    assert "Login as 'x\\n<0>forged'" in console.told


def test_a_login_begins_a_new_session_and_ends_the_one_that_was_there(console):
    browser = console.browser("fixed")
    before = browser.cookie
    with console.opened() as db:
        link = f"/link/{users.new_link(db, users.user_id(db, 'fixed'), time.time())}"
    browser.post(link)
    assert browser.cookie != before
    planted = console.browser()
    planted.cookie = before
    assert planted.get("/").status == 303


def test_a_cookie_that_we_have_not_made_is_no_session(console):
    browser = console.browser()
    browser.cookie = "airoxy=chosen-by-somebody-else"
    done = browser.post(console.user("chosen"), csrf="")
    assert done.status == 303
    assert "chosen-by-somebody-else" not in browser.cookie


def test_the_cookie_is_for_this_site_alone_and_no_script(console):
    done = console.browser().post(console.user("cookie"))
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=43200" in cookie
    assert "path=/" in cookie
    assert "domain" not in cookie


def test_the_database_has_no_secret_that_a_browser_could_show(console):
    browser = console.browser("digested")
    link = console.user("unused")
    secrets = [browser.cookie.partition("=")[2].encode(), link.rpartition("/")[2].encode()]
    files = [console.database, console.database.with_name("airoxy.db-wal")]
    content = b"".join(file.read_bytes() for file in files if file.exists())
    assert not [secret for secret in secrets if secret in content]


def test_logging_out_ends_the_session_at_the_server(console):
    browser = console.browser("leaves")
    cookie = browser.cookie
    assert location(browser.post("/logout")) == "/login"
    browser.cookie = cookie
    assert browser.get("/").status == 303


def test_a_session_ends_after_twelve_hours_and_with_its_user(console):
    browser = console.browser("ends")
    with console.opened() as db:
        secret = browser.cookie.partition("=")[2]
        assert sessions.find(db, secret, time.time() + 43_000)
        assert not sessions.find(db, secret, time.time() + 43_201)
        users.remove_user(db, users.user_id(db, "ends"), time.time())
    assert browser.get("/").status == 303


def test_a_user_sees_the_own_sessions_and_ends_one(console):
    browser, other = console.browser("twice"), console.browser()
    with console.opened() as db:
        number = users.user_id(db, "twice")
        other.post(f"/link/{users.new_link(db, number, time.time())}")
        (first,) = (s["id"] for s in sessions.of_user(db, number, time.time())[1:])
    assert f"/account/sessions/{first}/end" in other.get("/account").text
    other.post(f"/account/sessions/{first}/end")
    assert browser.get("/").status == 303
    assert other.get("/").status == 200


def test_nobody_ends_a_session_of_somebody_else(console):
    browser, other = console.browser("owner"), console.browser("thief")
    with console.opened() as db:
        number = users.user_id(db, "owner")
        (session,) = (s["id"] for s in sessions.of_user(db, number, time.time()))
    other.post(f"/account/sessions/{session}/end")
    assert browser.get("/").status == 200


def test_a_new_passphrase_wants_the_old_one_and_ends_all_other_sessions(console):
    browser, other = console.browser("changes"), console.browser()
    set_passphrase(browser)
    assert other.post("/login", name="changes", passphrase=GOOD).status == 303
    wrong = browser.post("/account", old="not this one", new=GOOD * 2, again=GOOD * 2)
    assert wrong.status == 403
    set_passphrase(browser, GOOD * 2, old=GOOD)
    assert other.get("/").status == 303
    assert browser.get("/").status == 200


def test_a_passphrase_is_long_and_typed_twice(console):
    browser = console.browser("short")
    assert "12 to" in browser.post("/account", new="short", again="short").text
    assert "not the same" in browser.post("/account", new=GOOD, again=GOOD + "!").text


def test_a_passphrase_is_kept_salted():
    one, two = hashed(GOOD), hashed(GOOD)
    assert one != two
    assert GOOD not in one
    assert matches(GOOD, one)
    assert not matches(GOOD + " ", one)
    with pytest.raises(InvalidInput):
        hashed("x" * 1025)
