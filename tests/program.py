"""airoxy as an operator has it: a configuration file, a database, a process, a command line.

Invariant: what was started is stopped, by its own process id; it must leave with status 0, leave no
child behind, and have told of no traceback.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import apsw

from airoxy.core import keys
from airoxy.store.keys import add_key
from airoxy.store.schema import open_database
from airoxy.store.tokens import add_token
from airoxy.store.usage.requests import newest
from tests.databases import make_database
from tests.forkserver import ForkServer, Process
from tests.ports import free_port

ROOT = Path(__file__).parent.parent

#: What runs the server and the commands. The newest venv can test Debian's versions with it.
PYTHON = os.environ.get("AIROXY_TEST_PYTHON", sys.executable)


@cache
def fork_server() -> ForkServer:
    """The one of this test process; it ends with it."""
    server = ForkServer(PYTHON, environment())
    atexit.register(server.close)
    return server


class Airoxy:
    """One installation in a directory of its own; `settings` are those of airoxy.yaml. With `tls`
    among them, `trust` is what a client needs to come in."""

    #: What is run as the server.
    module = "airoxy"
    #: Whether the server is an interpreter of its own from the start on, and not forked.
    executed = False

    def __init__(self, directory: Path, url: str, /, **settings: Any) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "database": str(directory / "airoxy.db"),
            "upstream": {"url": url} | settings.pop("upstream", {}),
            "oauth": {"endpoint": f"{url}/v1/oauth/token"} | settings.pop("oauth", {}),
        } | settings
        self.config = directory / "airoxy.yaml"
        self.database = Path(self.settings["database"])
        self.log = directory / "stderr"
        self.process: Process | subprocess.Popen[bytes] | None = None
        self.trust: ssl.SSLContext | None = None
        self._names = 0
        #: Whether its first start finds a database; somebody else's `database` is what it is.
        self._is_new = "database" not in settings
        self.write_config()

    def write_config(self, **changes: Any) -> None:
        """Write the file (JSON is YAML), with other values for whole settings."""
        self.settings |= changes
        self.config.write_text(json.dumps(self.settings))

    # The server

    @property
    def url(self) -> str:
        return f"{'https' if 'tls' in self.settings else 'http'}://127.0.0.1:{self.port}"

    @property
    def errors(self) -> str:
        """What the server has written to its standard error so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self, *arguments: str) -> Self:
        """Start the server, in a session of its own, and wait until it answers."""
        command = ["--config", str(self.config), "serve", *arguments]
        self._make_database()
        with self.log.open("ab") as log, open(os.devnull) as nothing:
            if self.executed:
                self.process = subprocess.Popen(
                    [PYTHON, "-m", self.module, *command], cwd=ROOT, env=environment(),
                    stdin=nothing, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            else:
                self.process = fork_server().start(
                    self.module, command, environment(),
                    (nothing.fileno(), log.fileno(), log.fileno()), session=True,
                )  # fmt: skip
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_ready(self) -> None:
        assert self.process
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"airoxy did not start:\n{self.errors}"
            with contextlib.suppress(OSError):
                self.request("GET", "/health")
                return
            time.sleep(0.02)
        raise AssertionError(f"airoxy does not answer:\n{self.errors}")

    def stop(self, patience: float = 60) -> None:
        """Stop the server as systemd does, and check what it leaves; it may take `patience`
        seconds."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"airoxy did not stop:\n{self.errors}") from None
        assert status == 0, f"status {status}:\n{self.errors}"
        assert "Traceback" not in self.errors, self.errors
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"airoxy left children behind:\n{self.errors}")

    def kill(self) -> None:
        """Kill the server and its children at once, as a power cut would."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            group, self.process = self.process.pid, None
            self._wait_unbound(group)

    def _wait_unbound(self, group: int) -> None:
        """Until its workers, which end a moment later, have left the port; whose sockets somebody
        else has keeps it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", self.port))
                return
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.005)

    # The command line

    def cli(self, *arguments: str, stdin: str = "", status: int = 0) -> str:
        """Type a command; gives what it printed. `status` is the exit status it must have."""
        done = self.run(*arguments, stdin=stdin)
        told = f"airoxy {' '.join(arguments)}: status {done.returncode}"
        assert done.returncode == status, f"{told}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Type a command, whatever comes of it."""
        command = ["--config", str(self.config), *arguments]
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3)]
            files[0].write(stdin)
            files[0].seek(0)
            typed, out, err = (file.fileno() for file in files)
            process = fork_server().start("airoxy", command, environment(), (typed, out, err))
            try:
                status = process.wait(60)
            except BaseException:
                process.kill()
                process.wait()
                raise
            for file in files:
                file.seek(0)
            return subprocess.CompletedProcess(command, status, files[1].read(), files[2].read())

    def begin(self, *arguments: str) -> Process:
        """Type a command and do not wait for it; nothing is read of what it prints."""
        command = ["--config", str(self.config), *arguments]
        with open(os.devnull, "r+") as null:
            nothing = null.fileno()
            return fork_server().start("airoxy", command, environment(), (nothing,) * 3)

    def execute(
        self, *arguments: str, under: Sequence[str] = (), output: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Type a command, `under` another one, as a child of the test's."""
        command = [*under, PYTHON, "-m", "airoxy", "--config", str(self.config), *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
            stdout=output, stderr=output,
        )  # fmt: skip

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """Type a command with `--json`; gives the document it printed."""
        return json.loads(self.cli(*arguments, "--json", stdin=stdin))

    def key(self, name: str | None = None) -> str:
        """A new client key, put where `api-key add` puts it."""
        key = keys.new_key(secrets.choice)
        with self.opened() as db:
            add_key(db, name or self._name("key"), key, time.time())
        return key

    def token(self, secret: str, refresh: str | None = None, name: str | None = None) -> int:
        """The id of a new upstream token, put where `token add` puts it."""
        now = int(time.time())
        with self.opened() as db:
            return add_token(
                db, name=name or self._name("token"), type=keys.token_type(secret), token=secret,
                refresh_token=refresh, expires_at=now + 28800 if refresh else None, now=now,
            )  # fmt: skip

    @contextlib.contextmanager
    def opened(self) -> Iterator[apsw.Connection]:
        """Its database."""
        self._make_database()
        with contextlib.closing(open_database(self.database)) as db:
            yield db

    def _make_database(self) -> None:
        """Once: one that is missing later is meant to be."""
        if self._is_new:
            self._is_new = False
            make_database(self.database)

    def _name(self, what: str) -> str:
        self._names += 1
        return f"{what}-{self._names}"

    def wait_logs(self, count: int, timeout: float = 30) -> list[dict[str, Any]]:
        """The log's rows, the request that began last first, once there are so many: they are
        written behind the answers, and each worker writes its own."""
        deadline = time.monotonic() + timeout
        with self.opened() as db:
            while len(rows := newest(db, limit=1000)) < count:
                assert time.monotonic() < deadline, f"only {len(rows)} rows: {rows}"
                time.sleep(0.01)  # nothing tells another process of a commit
        return sorted(rows, key=lambda row: (row["requested_at"], row["id"]), reverse=True)

    # Its clients

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *,
        key: str | None = None,
    ) -> Answer:
        """One request on a connection of its own; the answer read to its end."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect(timeout=30)
        try:
            connection.request(method, path, data, sent | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def connect(self, timeout: float = 30) -> socket.socket:
        """A connection of a client's, over TLS where it is spoken."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        if "tls" not in self.settings:
            return plain
        assert self.trust
        try:
            return self.trust.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise


@contextlib.contextmanager
def ended(made: Sequence[Airoxy]) -> Iterator[None]:
    """At the end of the block all that were `made` are stopped, or else killed."""
    try:
        yield
        for airoxy in made:
            airoxy.stop()
    finally:
        for airoxy in made:
            airoxy.kill()


class Answer:
    """Status, headers (`answer.headers["request-id"]`) and body."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:500]!r}>"


def unix(text: str) -> float:
    """A time as JSON has it, in Unix seconds."""
    return datetime.datetime.fromisoformat(text).timestamp()


def environment() -> dict[str, str]:
    """Ours, less what would change which airoxy is meant and how it finds the upstream."""
    ours = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    ours.pop("AIROXY_CONFIG", None)
    return ours | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default::ResourceWarning"}


def need(program: str) -> str:
    """The path of another's program; the test is left out where it is not installed."""
    import pytest  # not at the top: the benchmark has none

    found = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    return found or pytest.skip(f"{program} is not installed")
