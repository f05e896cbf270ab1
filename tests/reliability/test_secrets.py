"""Secrets with a mark in them, and a search for it wherever they must not be."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.core.billing.pricing import PriceTable
from airoxy.server.proxy.request_log import RequestLog
from tests.fake_anthropic import FakeAnthropic
from tests.program import ROOT, environment
from tests.reliability.conftest import Watched
from tests.reliability.raw import HELLO, STREAM, Client, request

#: In every token, and nowhere else.
MARK = "zq8Xk2Vw"
CONSOLE = [f"sk-ant-api-{MARK}-console-{number}" for number in range(5)]
LOGIN = [(f"sk-ant-oat-{MARK}-login-{n}", f"sk-ant-ort-{MARK}-login-{n}") for n in range(3)]


class Account:
    """An airoxy that much happens to; `seen` is all that anybody was told or shown, with where."""

    def __init__(self, airoxy: Watched, upstream: FakeAnthropic) -> None:
        self.airoxy, self.upstream = airoxy, upstream
        self.seen: list[tuple[str, bytes]] = []
        self.key = airoxy.key()

    def type(self, *words: str, stdin: str = "") -> None:
        done = self.airoxy.run(*words, stdin=stdin)
        self.seen.append((" ".join(words), (done.stdout + done.stderr).encode()))

    def ask(
        self, body: bytes = HELLO, *, key: str | None = None, path: str = "/v1/messages"
    ) -> None:
        with Client(self.airoxy) as client:
            answer = client.send(request(key or self.key, body, path=path)).answer()
        self.seen.append(("an answer", repr(answer).encode()))

    def raw(self, data: bytes) -> None:
        with Client(self.airoxy) as client:
            self.seen.append(("an answer", client.send(data).rest()))

    def processes(self) -> None:
        """What `ps` shows of ours."""
        assert self.airoxy.process
        session = os.getsid(self.airoxy.process.pid)
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and os.getsid(int(entry.name)) == session:
                    for name in ("cmdline", "environ", "comm"):
                        self.seen.append((f"/proc/…/{name}", (entry / name).read_bytes()))
                    limits = (entry / "limits").read_text()
                    assert re.search(r"Max core file size +[01] +[01] ", limits), limits
            except (ProcessLookupError, FileNotFoundError):
                continue

    def files(self) -> None:
        """The database with everything beside it, and what was written to the journal."""
        for path in self.airoxy.config.parent.rglob("*"):
            if path.is_file() and path.name != ".credentials.json":
                self.seen.append((path.name, path.read_bytes()))


@pytest.fixture
def account(install: Callable[..., Watched], upstream: FakeAnthropic) -> Account:
    airoxy = install(upstream={"read_timeout": 1, "connect_timeout": 1})
    airoxy.executed = True  # with a command line and an environment that can be looked at
    return Account(airoxy.start(), upstream)


def test_no_secret_is_anywhere_but_where_it_belongs(account: Account, tmp_path: Path) -> None:
    tokens_of_all_kinds(account, tmp_path)
    trouble_of_all_kinds(account)
    commands_of_all_kinds(account)
    account.processes()
    account.files()  # with the log that is not in the database yet
    crashes(account)
    account.airoxy.stop()
    account.files()
    marks = (MARK.encode(), account.key.encode(), account.key[3:-4].encode())
    found = [
        (where, what[max(0, at - 60) : at + 40])
        for where, what in account.seen
        if (at := max(what.find(mark) for mark in marks)) >= 0
    ]
    assert not found, "\n".join(map(repr, found))
    assert len(account.seen) > 60
    # The search is no better than what it looks for: all of it has been in use.
    used = {seen.token for seen in account.upstream.requests}
    assert {*CONSOLE, *(access for access, _ in LOGIN)} & used


def tokens_of_all_kinds(account: Account, directory: Path) -> None:
    for number, secret in enumerate(CONSOLE):
        account.type("token", "add", "-", "--name", f"console-{number}", stdin=secret)
    for number, pair in enumerate(LOGIN[:2]):
        account.type("token", "add", "-", "--name", f"login-{number}", stdin="\n".join(pair))
    account.type("token", "add", "-", "--name", "twice", stdin=CONSOLE[0])
    account.type("token", "add", "-", "--name", "wrong", stdin=f"sk-{MARK} not-a-token")
    login = {"accessToken": LOGIN[2][0], "refreshToken": LOGIN[2][1], "expiresAt": 4e12}
    file = directory / ".credentials.json"
    file.write_text(json.dumps({"claudeAiOauth": login}))
    account.type("token", "auto", "--path", str(file))
    account.type("token", "auto", "--path", str(file))


def trouble_of_all_kinds(account: Account) -> None:
    upstream, ask = account.upstream, account.ask
    for body in (HELLO, STREAM, b"no JSON", b""):
        ask(body)
    for key in (f"ak-{MARK}", account.key + "x"):
        ask(key=key)
    ask(path="/elsewhere")
    account.raw(b"GET /v1/models HTTP/1.1\r\nx-api-key : %b\r\n\r\n" % account.key.encode())
    account.raw(b"nonsense %b\r\n\r\n" % account.key.encode())
    for script in (upstream.script, lambda: upstream.script(when=lambda seen: True)):
        script().limit(retry_after=1).overloaded().forbidden().status(500).status(400)
        for _ in range(4):
            ask()
    upstream.script().hang_up("reset").broken().stall().stream_error()
    upstream.script().answer(200, [("content-length", "5")], b"")
    for _ in range(6):
        ask(STREAM)
    upstream.script(token=CONSOLE[4]).unauthorized()
    upstream.script(times=3).status(401, f"invalid x-api-key: {CONSOLE[3]}")
    for _ in range(4):
        ask()
    # What the upstream says goes to the client as it is, but not into the log.
    upstream.script().status(400, f"What is {CONSOLE[1]}?")
    account.airoxy.request("POST", "/v1/messages", HELLO, key=account.key)
    upstream.refuse()
    ask()
    upstream.listen()


def commands_of_all_kinds(account: Account) -> None:
    upstream = account.upstream
    refreshing = upstream.script(path="/v1/oauth/token")
    refreshing.status(500, f"no: {LOGIN[0][1]}").answer(
        400, [], f'{{"error":"sk-ant-ort-{MARK}"}}'.encode()
    )
    refreshing.answer(200, [], f'{{"access_token":"sk-ant-oat-{MARK}"}}'.encode())
    for words in (
        "token refresh", "token refresh", "job refresh-tokens", "token list", "token list --json",
        "token toggle 1", "token toggle 1", "token reset 2", "token remove 3", "token rotate-key",
        "api-key list", "api-key list --json", "api-key toggle 9", "logs", "logs --json", "stats",
        "stats --json --by token", "config show", "config check", "doctor", "doctor --json",
        "status", "job tidy-log", "nonsense", "token add", "token list",
    ):  # fmt: skip
        account.type(*words.split())
    for path in ("/health", "/metrics"):
        told = account.airoxy.request("GET", path)
        assert told.status in (200, 503)
        account.seen.append((path, told.body))


def crashes(account: Account) -> None:
    """A worker that is told to abort says where it was; one that is killed is mourned."""
    for how in (signal.SIGABRT, signal.SIGKILL):
        pid = account.airoxy.request("GET", "/health").json()["pid"]
        os.kill(pid, how)
        while account.airoxy.errors.count(f"Worker {pid} ") == 0:
            account.airoxy.request("GET", "/")
        account.airoxy._wait_ready()
        account.ask()


def test_a_python_error_does_not_print_what_it_was_about() -> None:
    """Dataclasses that hold secrets do not show them."""
    code = (
        "from airoxy.core.pool import Token\nfrom airoxy.store.leases import Lease, Refreshing\n"
        "from airoxy.core.oauth import Refreshed\n"
        f"print([Token(1, 'a', 'oauth', '{MARK}', 1, 0), Lease(1, 'a', '{MARK}', '{MARK}', 0),"
        f" Refreshing(1, 'a', '{MARK}', None, None, None), Refreshed('{MARK}', '{MARK}', 5)])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert MARK not in told.stdout


@pytest.mark.parametrize("secret", ["ak-" + "aB3" * 13 + "x", f"sk-ant-api-{MARK}"])
def test_a_secret_in_a_path_is_not_in_the_log(secret: str) -> None:
    row = RequestLog(1, f"/v1/models/{secret}", 0).row(PriceTable.parse([]))
    assert secret not in repr(row)
    assert row.endpoint.startswith("/v1/models/")
