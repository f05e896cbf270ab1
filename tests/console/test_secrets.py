"""Every route, asked by an admin: none answers with a secret, none can be framed, and nothing that
is asked for becomes a header."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

import pytest

from airoxy.console.app import all_routes
from airoxy.console.guard import HEADERS
from airoxy.console.passphrases import hashed
from airoxy.store.console import users
from airoxy.store.keys import add_key, rotate_key
from airoxy.store.schema import run
from airoxy.store.tokens import add_token
from airoxy.store.usage.requests import append
from tests.console.running import SECRET, log_row

#: Routes that are looked at; of events the answer has no end, and is not read.
LOOKS = [route.path for route in all_routes() if "GET" in route.handlers]
#: What leads those on who are logged in.
FOR_STRANGERS = {"/login", "/link/{secret}"}
#: This host is in none.
OF_A_FLEET = {"/api/fleet"}
#: What stands for each part of a path: there is something with this name or this number.
NAME, NUMBER = "everything", "1"
ATTACK = "%0d%0aset-cookie:%20stolen=1%0d%0a%0d%0a<script>"


class Seeded(NamedTuple):
    """What must never be answered."""

    headers: dict[str, str]
    cookie: str
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def seeded(console):
    now = time.time()
    made = {
        "API key": SECRET + "api", "access token": "sk-ant-oat01-" + "not-an-access-token-" * 3,
        "refresh token": "sk-ant-ort01-" + "not-a-refresh-token-" * 3,
        "client key": "ak-" + "not-a-client-key" * 3,
        "old client key": "ak-" + "not-an-old-key" * 3,
    }  # fmt: skip
    link = console.user(NAME).rpartition("/")[2]
    with console.opened() as db:
        for kind, names in (("api_key", ("API key", None)),
                            ("oauth", ("access token", "refresh token"))):  # fmt: skip
            add_token(
                db, name=NAME if kind == "api_key" else kind, type=kind, token=made[names[0]],
                refresh_token=names[1] and made[names[1]], expires_at=int(now) + 3600, now=now,
            )  # fmt: skip
        number = add_key(db, NAME, made["old client key"], now)
        rotate_key(db, number, made["client key"], 3600, now)
        passphrase = hashed("a very long passphrase")
        users.set_passphrase(db, users.user_id(db, NAME), passphrase)
        append(db, [log_row(api_key_id=number, token_id=1)])
        digests = [run(db, "SELECT hex(digest) FROM api_keys")[0][0]]
    headers = console.program("crawler")
    browser = console.browser("crawling")
    made |= {
        "login link": link, "passphrase": passphrase, "digest": digests[0],
        "API token": headers["authorization"].removeprefix("Bearer "),
        "session": browser.cookie.partition("=")[2],
    }  # fmt: skip
    return Seeded(headers, browser.cookie, made)


def ask(console, seeded, path, part):
    headers = seeded.headers if path.startswith("/api/") else {"cookie": seeded.cookie}
    return console.ask("GET", re.sub("{.*?}", part, path), headers=headers)


@pytest.mark.parametrize("path", LOOKS)
def test_no_route_answers_with_a_secret(console, seeded, path):
    for part in (NAME, NUMBER):
        answer = ask(console, seeded, path, part)
        assert answer.status in (200, 404) or path in FOR_STRANGERS
        told = answer.body + str(answer.headers).encode()
        shown = [name for name, secret in seeded.secrets.items() if secret.encode() in told]
        assert not shown, path


def test_the_crawler_gets_to_what_there_is(console, seeded):
    found = {
        path for path in LOOKS
        if any(ask(console, seeded, path, part).status == 200 for part in (NAME, NUMBER))
    }  # fmt: skip
    assert set(LOOKS) - found <= {*FOR_STRANGERS, *OF_A_FLEET}


@pytest.mark.parametrize("path", LOOKS)
def test_no_route_can_be_framed_or_kept(console, seeded, path):
    answer = ask(console, seeded, path, NAME)
    assert answer.headers["x-frame-options"] == "DENY"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy or policy.startswith("sandbox")
    assert answer.headers["x-content-type-options"] == HEADERS["x-content-type-options"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", LOOKS)
def test_what_is_asked_for_becomes_no_header_and_no_page(console, seeded, path):
    for asked in (path.replace("{", "{x") + f"?month={ATTACK}&key={ATTACK}&q={ATTACK}&by={ATTACK}",
                  path):  # fmt: skip
        answer = ask(console, seeded, asked, ATTACK)
        assert "stolen" not in (answer.headers["set-cookie"] or "")
        assert answer.status < 500
        if answer.headers.get_content_type() == "text/html":
            assert b"<script>" not in answer.body
