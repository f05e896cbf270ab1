"""Warnings go out once by every way, and again only to a way that did not take them."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.config import make_config
from airoxy.config.recipients import HiddenUrl
from airoxy.jobs.notify.events import Surroundings
from airoxy.jobs.notify.run import notify
from airoxy.jobs.notify.ways import send
from airoxy.store import notices
from airoxy.store.limits import set_limits
from tests.conftest import NOON
from tests.store.seed import add_key, append, row

SECRET = "a-path-that-nobody-may-see"
DOCUMENT = {"event": "test", "subject": "", "text": "Héllo", "at": "2026-11-22T12:00:00Z",
            "host": "gateway"}  # fmt: skip


class Sender:
    """Takes warnings, but by the ways that are `down`."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.sent: list[tuple[str, str]] = []

    def __call__(self, way: str, _: Any, document: dict[str, Any]) -> str | None:
        if way in self.down:
            return "it is down"
        self.sent.append((way, document["event"]))
        return None


@pytest.fixture
def spent(db: apsw.Connection) -> apsw.Connection:
    """A key has reached its limit."""
    set_limits(db, add_key(db, "alice"), {"spend_per_day_nanousd": 1})
    append(db, row())
    return db


def settings(**given: Any) -> Any:
    return make_config({f"notify.{name}": value for name, value in given.items()}).notify


BOTH = settings(mail=("ops@example.com",), webhook=HiddenUrl(f"https://example.com/{SECRET}"))


def test_a_warning_is_sent_once_by_each_way(spent: apsw.Connection) -> None:
    sender = Sender()
    for minute in range(5):
        assert notify(spent, BOTH, Surroundings(), NOON + 60 * minute, send=sender) == 0
    assert sender.sent == [("mail", "limit_reached"), ("webhook", "limit_reached")]
    append(spent, row(cost_nanousd=10**9))
    notify(spent, BOTH, Surroundings(), NOON + 3600, send=sender)
    assert len(sender.sent) == 2


def test_a_webhook_that_is_down_is_tried_again_and_mail_is_not_sent_twice(
    spent: apsw.Connection,
) -> None:
    sender = Sender()
    sender.down = {"webhook"}
    tries = [minute for minute in range(20)
             if notify(spent, BOTH, Surroundings(), NOON + 60 * minute, send=sender)]  # fmt: skip
    assert tries == [0, 1, 3, 7, 15]
    (waiting,) = notices.waiting(spent)
    assert (waiting.ways, waiting.trouble, waiting.tries) == (("webhook",), "it is down", 5)
    sender.down = set()
    notify(spent, BOTH, Surroundings(), NOON + 7200, send=sender)
    assert sender.sent == [("mail", "limit_reached"), ("webhook", "limit_reached")]
    assert notices.waiting(spent) == []


def test_nobody_waits_for_a_way_that_is_gone_or_for_what_is_days_old(
    spent: apsw.Connection,
) -> None:
    sender = Sender()
    sender.down = {"webhook", "mail"}
    notify(spent, BOTH, Surroundings(), NOON, send=sender)
    notify(spent, settings(mail=("ops@example.com",)), Surroundings(), NOON + 5, send=sender)
    assert [each.ways for each in notices.waiting(spent)] == [("mail",)]
    sender.down = set()
    notify(spent, BOTH, Surroundings(), NOON + 4 * 86_400, send=sender)
    assert sender.sent == []


def test_a_database_that_takes_nothing_is_told_of_once_an_hour(
    spent: apsw.Connection, tmp_path: Path
) -> None:
    sender = Sender()
    looked = apsw.Connection(spent.filename, apsw.SQLITE_OPEN_READONLY)
    for _ in range(3):
        notify(looked, BOTH, Surroundings(), NOON, send=sender, directory=tmp_path)
    looked.close()
    assert sender.sent == [("mail", "rows_unwritten"), ("webhook", "rows_unwritten")]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Any], list[int]]]:
    """A chat program's webhook: its address, what it got, and what it answers."""
    got: list[Any] = []
    answers: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(answers.pop() if answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{SECRET}", got, answers
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_json_with_a_text(hook: Any, tmp_path: Path) -> None:
    url, got, answers = hook
    file = tmp_path / "webhook"
    file.write_text(f"{url}\n")
    for webhook in (HiddenUrl(url), file):
        assert send("webhook", settings(webhook=webhook), DOCUMENT) is None
    assert got == [DOCUMENT] * 2
    answers.append(500)
    assert send("webhook", settings(webhook=HiddenUrl(url)), DOCUMENT) == "the webhook answers 500"


def test_nothing_that_goes_wrong_shows_the_address(tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:9/{SECRET}"
    odd = tmp_path / "odd"
    odd.write_text(f"ftp://{SECRET}")
    for webhook in (HiddenUrl(closed), odd, tmp_path / "missing"):
        trouble = send("webhook", settings(webhook=webhook), DOCUMENT)
        assert trouble
        assert SECRET not in trouble
    assert SECRET not in repr(settings(webhook=HiddenUrl(closed)))


def test_a_command_gets_json_on_its_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert send("command", settings(command=f"tee '{out}'"), DOCUMENT) is None
    assert json.loads(out.read_text()) == DOCUMENT
    assert "ended with status 1" in str(send("command", settings(command="false"), DOCUMENT))
    assert "No such file" in str(send("command", settings(command="/no/program"), DOCUMENT))
    assert "never closed" in str(send("command", settings(command="a 'b"), DOCUMENT))


def test_mail_goes_through_sendmail(tmp_path: Path) -> None:
    program, out = tmp_path / "sendmail", tmp_path / "out"
    program.write_text(f'#!/bin/sh\necho "$@" > {out}\ncat >> {out}\n')
    program.chmod(0o755)
    two = settings(mail=("ops@example.com", "root"))
    assert send("mail", two, DOCUMENT, sendmail=str(program)) is None
    arguments, *mail = out.read_text().splitlines()
    assert arguments == "-oi -- ops@example.com root"
    assert "Subject: airoxy on gateway: test" in mail
    assert "Auto-Submitted: auto-generated" in mail
