"""A console as a process of its own, and browsers and programs that use it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import apsw

from airoxy.core.billing.usage import Usage
from airoxy.store.console import api_tokens, users
from airoxy.store.schema import open_database
from airoxy.store.tokens import add_token
from airoxy.store.usage.requests import Row
from tests.databases import make_database
from tests.ports import free_port
from tests.program import Airoxy, environment, fork_server

#: What an upstream token looks like, without being one.
SECRET = "sk-ant-api03-" + "not-a-token-" * 4


class Reply:
    """An answer of the console's."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:300]!r}>"


class Console:
    """`airoxy console` on a port of its own, beside no server."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.socket = directory / "console.sock"
        self.database = directory / "airoxy.db"
        listen = [f"127.0.0.1:{self.port}", str(self.socket)]
        self.settings = {
            "host": "127.0.0.1",
            "port": free_port(),
            "database": str(self.database),
            "console": {"listen": listen} | settings.pop("console", {}),
        } | settings
        self.config = directory / "airoxy.yaml"
        self.config.write_text(json.dumps(self.settings))
        self.log = directory / "console.log"
        self.process: Any = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def told(self) -> str:
        """What it has written to standard output and error."""
        return self.log.read_text()

    def start(self) -> Console:
        make_database(self.database)
        words = ["--config", str(self.config), "console"]
        with self.log.open("ab") as log, open(os.devnull) as nothing:
            files = (nothing.fileno(), log.fileno(), log.fileno())
            self.process = fork_server().start("airoxy", words, environment(), files, session=True)
        deadline = time.monotonic() + 120
        while "The console is at" not in self.told:
            assert self.process.poll() is None, self.told
            assert time.monotonic() < deadline, self.told
            time.sleep(0.01)  # nothing tells another process of a line in a file
        return self

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, self.told
        assert "Traceback" not in self.told, self.told

    @contextlib.contextmanager
    def opened(self) -> Iterator[apsw.Connection]:
        make_database(self.database)
        with contextlib.closing(open_database(self.database)) as db:
            yield db

    def user(self, name: str, role: str = users.ADMIN) -> str:
        """A new user's login link, as a path."""
        with self.opened() as db:
            number = users.add_user(db, name, role, time.time())
            return f"/link/{users.new_link(db, number, time.time())}"

    def program(self, name: str, role: str = users.ADMIN) -> dict[str, str]:
        """The headers of a program with a new API token."""
        with self.opened() as db:
            _, secret = api_tokens.add_api_token(
                db, name, role, int(time.time()) + 3600, time.time()
            )
        return {"authorization": f"Bearer {secret}"}

    def browser(self, name: str | None = None, role: str = users.ADMIN) -> Browser:
        """One in which a new user of this name is logged in."""
        browser = Browser(self)
        if name is not None:
            assert browser.post(self.user(name, role)).status == 303
        return browser

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request, with these headers and no others; of events none is waited for."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            endless = answer.headers.get_content_type() == "text/event-stream"
            return Reply(answer.status, answer.headers, b"" if endless else answer.read())
        finally:
            connection.close()


def beside(airoxy: Airoxy, directory: Path) -> Console:
    """The console of this airoxy."""
    same = ("host", "port", "database", "upstream", "oauth")
    console = Console(directory, **{name: airoxy.settings[name] for name in same})
    console.database = airoxy.database
    return console


class Browser:
    """Keeps the session's cookie, says where it comes from, and sends forms as they are."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Reply:
        return self._send("GET", path, None, headers)

    def post(self, path: str, headers: dict[str, str] | None = None, /, **form: str) -> Reply:
        """A form; the CSRF token is that of the session, unless it is given."""
        fields = ({"csrf": self.csrf} if self.cookie and "csrf" not in form else {}) | form
        given = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": self.console.origin,
        } | (headers or {})
        return self._send("POST", path, urlencode(fields).encode(), given)

    @property
    def csrf(self) -> str:
        found = re.search(r'<meta name="csrf" content="(\w+)">', self.get("/account").text)
        assert found
        return found[1]

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        cookie = {"cookie": self.cookie} if self.cookie else {}
        reply = self.console.ask(method, path, body, cookie | headers)
        for line in reply.headers.get_all("set-cookie") or []:
            self.cookie = line.partition(";")[0]
            if 'airoxy=""' in self.cookie or self.cookie == "airoxy=":
                self.cookie = ""
        return reply


class Program:
    """Sends JSON with its API token."""

    def __init__(self, console: Console, headers: dict[str, str]) -> None:
        self.console, self.headers = console, headers

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = None if body is None else json.dumps(body).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.console.ask(method, path, sent, self.headers | more)

    def key(self, name: str, **fields: Any) -> int:
        return self("POST", "/api/keys", {"name": name, **fields}).json()["id"]

    def token(self, name: str) -> int:
        with self.console.opened() as db:
            return add_token(
                db, name=name, type="api_key", token=SECRET + name, refresh_token=None,
                expires_at=None, now=time.time(),
            )  # fmt: skip


def log_row(**fields: Any) -> Row:
    known: dict[str, Any] = {
        "requested_at_ms": int(time.time() * 1000), "api_key_id": 1, "token_id": None,
        "endpoint": "/v1/messages", "is_stream": False, "cost_nanousd": 5, "error_message": None,
        "ending": "complete", "attempts": 1, "ttfb_ms": 1, "duration_ms": 2, "model": "m",
        "usage": Usage("m", input_tokens=3), "status_code": 200, "request_id": None,
    }  # fmt: skip
    return Row(**known | fields)


def location(reply: Reply) -> str:
    """Where the browser is sent, as a path."""
    parts = urlsplit(reply.headers["location"])
    assert not parts.netloc
    return parts.path


def through(path: Path, request: bytes) -> bytes:
    """The first line of what is answered through a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(os.fspath(path))
        sock.sendall(request)
        with sock.makefile("rb") as answer:
            return answer.readline()
