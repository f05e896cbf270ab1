"""Ways to make airoxy say what the guide to troubles quotes: PROVOCATIONS has a function for each
message, which gives back what was said."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docs.curl import HELLO
from tests.fake_anthropic import FakeAnthropic
from tests.fake_anthropic.api import OAUTH_PATH
from tests.program import Airoxy
from tests.reliability.raw import swallowing
from tests.upstream.certificates import Authority

ONE = "sk-ant-api-test-one"
OAUTH = ("sk-ant-oat-test-two", "sk-ant-ort-test-two")


@dataclass
class Scene:
    install: Callable[..., Airoxy]
    upstream: FakeAnthropic
    directory: Path

    def running(self, **settings: Any) -> tuple[Airoxy, str]:
        """An airoxy with a token and a key."""
        airoxy = self.install(**settings).start()
        airoxy.token(ONE)
        return airoxy, airoxy.key()

    def ask(self, **settings: Any) -> str:
        return post(*self.running(**settings))

    def elsewhere(self, port: int, scheme: str = "http", **settings: Any) -> str:
        """What is said of an upstream at this port."""
        url = f"{scheme}://127.0.0.1:{port}"
        return self.ask(upstream={"url": url} | settings)

    def refused_to_start(self, **settings: Any) -> str:
        """What `airoxy serve` says instead of serving."""
        return serve(self.install(**settings))


Provocation = Callable[[Scene], str]
PROVOCATIONS: dict[str, Provocation] = {}


def says(message: str) -> Callable[[Provocation], Provocation]:
    def add(function: Provocation) -> Provocation:
        PROVOCATIONS[message] = function
        return function

    return add


def post(airoxy: Airoxy, key: str, path: str = "/v1/messages", **options: Any) -> str:
    """Status and message of an error."""
    given = {"body": HELLO} | options
    answer = airoxy.request("POST", path, key=key, **given)
    return f"{answer.status} {answer.json()['error']['message']}"


def serve(airoxy: Airoxy) -> str:
    done = airoxy.run("serve")
    assert done.returncode in (1, 78), done
    return done.stderr


def said(airoxy: Airoxy, words: str) -> str:
    """What stands in the journal, once `words` do."""
    deadline = time.monotonic() + 20
    while words not in airoxy.errors:
        assert time.monotonic() < deadline, airoxy.errors
        time.sleep(0.02)
    return airoxy.errors


def has_run(scene: Scene) -> Airoxy:
    """One whose database is there, and not open."""
    airoxy = scene.install()
    airoxy.key()
    return airoxy


# A client is refused


@says("Invalid API key")
def _(scene: Scene) -> str:
    airoxy, _ = scene.running()
    return post(airoxy, "ak-test")


def limited(scene: Scene, *limits: str, requests: int = 1) -> str:
    """What is said after so many requests with a key that has these limits."""
    airoxy, key = scene.running()
    airoxy.cli("api-key", "set", "1", *limits)
    for _ in range(requests - 1):
        airoxy.request("POST", "/v1/messages", HELLO, key=key)
    return post(airoxy, key)


@says("This API key expired at …")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    with contextlib.closing(sqlite3.connect(airoxy.database)) as db:
        db.execute("UPDATE api_keys SET expires_at = 1")
        db.commit()
    return post(airoxy, key)


@says("This API key may not use the model …; it may use ….")
def _(scene: Scene) -> str:
    return limited(scene, "--models", "claude-none-*")


@says("This API key has spent its limit of … per …; it opens again at …")
def _(scene: Scene) -> str:
    return limited(scene, "--spend-per-day", "0.000000001", requests=2)


@says("This API key has a limit of … per …, and running requests may use up what is left of it; …")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    airoxy.cli("api-key", "set", "1", "--spend-per-day", "0.000000001")
    gate = scene.upstream.script().hold()
    with ThreadPoolExecutor(1) as other:
        first = other.submit(airoxy.request, "POST", "/v1/messages", HELLO, key=key)
        gate.wait_arrived()
        told = post(airoxy, key)
        gate.open()
        assert first.result().status == 200
    return told


@says("This API key has reached its limit of …; try again in …")
def _(scene: Scene) -> str:
    return limited(scene, "--requests-per-minute", "1", requests=2)


@says("All access tokens are rate limited; the first is ready in … seconds")
def _(scene: Scene) -> str:
    scene.upstream.script().limit(retry_after=60)
    airoxy, key = scene.running()
    post(airoxy, key)
    return post(airoxy, key)


@says("No access tokens available")
def _(scene: Scene) -> str:
    airoxy = scene.install().start()
    return post(airoxy, airoxy.key())


@says("The access token that this batch or file belongs to is not available")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    asked = {"requests": [{"custom_id": "a", "params": HELLO}]}
    batch = airoxy.request("POST", "/v1/messages/batches", asked, key=key).json()["id"]
    airoxy.cli("token", "toggle", "1")
    return post(airoxy, key, f"/v1/messages/batches/{batch}/cancel", body=b"")


@says("Cannot connect to …")
def _(scene: Scene) -> str:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    return scene.elsewhere(port)


@says("TLS with … failed: …")
def _(scene: Scene) -> str:
    with FakeAnthropic(ssl=Authority(scene.directory / "ca").server()) as unknown:
        return scene.elsewhere(unknown.port, "https")


@says("Connecting to … took more than … seconds")
def _(scene: Scene) -> str:
    with swallowing() as port:
        return scene.elsewhere(port, connect_timeout=0.5)


@says("The upstream broke off: …")
def _(scene: Scene) -> str:
    scene.upstream.script(times=None).raw(b"HTTP/1.1 200 OK\r\n")
    return scene.ask()


@says("The upstream cannot be understood: …")
def _(scene: Scene) -> str:
    scene.upstream.script(times=None).raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    return scene.ask()


@says("The upstream has been silent for … seconds")
def _(scene: Scene) -> str:
    hold = scene.upstream.script(times=None).hold()
    told = scene.ask(upstream={"read_timeout": 0.3})
    hold.open()
    return told


@says("Request exceeds the maximum size of … MB.")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    return post(airoxy, key, body=b"x" * 34_000_000)


@says("There is nothing at …; the API is under /v1/.")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    return post(airoxy, key, "/messages")


@says(
    "Metrics are for this machine, asked directly, and for the networks under metrics.allow in"
    " airoxy.yaml."
)
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    answer = airoxy.request("GET", "/metrics", headers={"x-forwarded-for": "192.0.2.7"}, key=key)
    return f"{answer.status} {answer.json()['error']['message']}"


@says("The request's head is larger than … KiB.")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    return post(airoxy, key, headers={f"x-{n}": "x" * 8000 for n in range(10)})


@says("The request's body did not arrive in time.")
def _(scene: Scene) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIROXY_TEST_LIMITS", '{"BODY_SILENCE": 0.3}')
        patch.setattr(Airoxy, "module", "tests.reliability.instrumented")
        airoxy, key = scene.running()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", airoxy.port), 20) as client:
        client.sendall(head.encode())
        answer = b"".join(iter(lambda: client.recv(4096), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return f"{head.split()[1]} {json.loads(body)['error']['message']}"


@says("This port speaks TLS; begin the base URL with https://")
def _(scene: Scene) -> str:
    authority = Authority(scene.directory / "ca")
    certificate, key = authority.files()
    airoxy = scene.install(tls={"certificate": str(certificate), "key": str(key)})
    airoxy.trust = authority.trusting()
    airoxy.start()
    plain = http.client.HTTPConnection("127.0.0.1", airoxy.port, timeout=20)
    with contextlib.closing(plain):
        plain.request("GET", "/")
        answer = plain.getresponse()
        return f"{answer.status} {json.loads(answer.read())['error']['message']}"


# The service does not start


@says("… is taken by another program; stop that or change `port`.")
def _(scene: Scene) -> str:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return scene.refused_to_start(port=other.getsockname()[1])


@says("… needs more rights; choose a `port` above 1023.")
def _(scene: Scene) -> str:
    from airoxy.server import listening

    with pytest.MonkeyPatch.context() as patch:
        # Root may, and so may everybody in some containers.
        patch.setattr(socket.socket, "bind", _forbidden)
        with pytest.raises(Exception, match="rights") as raised:
            listening.bind(("127.0.0.1",), 80)
    return str(raised.value)


def _forbidden(*_: Any) -> None:
    raise PermissionError(13, "Permission denied")


@says("… is no address of this machine; change `host`.")
def _(scene: Scene) -> str:
    return scene.refused_to_start(host="192.0.2.1")


@says("… there is no such setting; …")
def _(scene: Scene) -> str:
    return scene.refused_to_start(prot=3800)


@says("There is no database … yet; `airoxy serve` makes it.")
def _(scene: Scene) -> str:
    return scene.install().run("backup", str(scene.directory / "copy")).stderr


@says(
    "… is damaged (…). Leave it where it is, stop the service and ask `airoxy doctor`, or put a"
    " backup in its place."
)
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    airoxy.database.write_bytes(b"no database" * 1000)
    return serve(airoxy)


@says("… was written by a newer airoxy (…")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    with contextlib.closing(sqlite3.connect(airoxy.database)) as db:
        db.execute("PRAGMA user_version = 1000")
    return serve(airoxy)


@says("… is another program's database; set `database` to a path of airoxy's own.")
def _(scene: Scene) -> str:
    airoxy = scene.install()
    with contextlib.closing(sqlite3.connect(airoxy.database)) as db:
        db.execute("CREATE TABLE theirs (id)")
    return serve(airoxy)


@says("… belongs to …; use sudo.")
def _(scene: Scene) -> str:
    from airoxy.cli import owner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda *_, **__: False)
        patch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(Exception, match="sudo") as raised:
            owner.become_owner(scene.directory / "airoxy.db")
    return str(raised.value)


@says("Not reloaded, everything goes on as before: …")
def _(scene: Scene) -> str:
    airoxy, _ = scene.running()
    airoxy.write_config(prot=3800)
    assert airoxy.process
    airoxy.process.send_signal(signal.SIGHUP)
    return said(airoxy, "Not reloaded")


# While it runs


@says("The database cannot be written: …; requests go on, … log rows wait.")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    with locked(airoxy):
        airoxy.request("POST", "/v1/messages", HELLO, key=key)
        return said(airoxy, "log rows wait")


@contextlib.contextmanager
def locked(airoxy: Airoxy) -> Any:
    with contextlib.closing(sqlite3.connect(airoxy.database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


@says("… is locked by another program; try again in a moment.")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    with locked(airoxy):
        return airoxy.run("api-key", "toggle", "1").stderr


@says("The tokens in … are encrypted, and their key is not here (…")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    airoxy.token(*OAUTH)
    airoxy.database.with_name("token.key").unlink()
    return airoxy.run("token", "refresh").stderr


@says("the OAuth endpoint answered HTTP 400 invalid_grant (…")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    airoxy.token(*OAUTH)
    scene.upstream.revoke(OAUTH[1])
    done = airoxy.run("token", "refresh")
    return done.stdout + done.stderr


@says(
    "A refresh of token … was interrupted. If Anthropic had answered it already, its refresh token"
    " is spent…"
)
def _(scene: Scene) -> str:
    hold = scene.upstream.script(path=OAUTH_PATH).hold()
    airoxy = has_run(scene)
    airoxy.token(*OAUTH)
    refreshing = airoxy.begin("token", "refresh")
    hold.wait_arrived()
    refreshing.kill()
    refreshing.wait()
    return said(airoxy.start(), "interrupted")


@says("Every access token is cooling or expired: airoxy token list")
def _(scene: Scene) -> str:
    scene.upstream.script().spend_limit()
    airoxy, key = scene.running()
    post(airoxy, key)
    return str(airoxy.request("GET", "/health").json()["reason"])


@says("There is no active access token: airoxy token add")
def _(scene: Scene) -> str:
    return str(scene.install().start().request("GET", "/health").json()["reason"])


# In running text


@says("No price for these, so their cost is a guess")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    airoxy.request("POST", "/v1/messages", HELLO | {"model": "tomorrow-1"}, key=key)
    airoxy.wait_logs(1)
    return airoxy.cli("prices")


@says("Only root may do that: sudo airoxy …")
def _(scene: Scene) -> str:
    from airoxy.cli import system

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(Exception, match="root") as raised:
            system.require_root("start")
    return str(raised.value)


@says("systemd does not run here, so there are no units; …")
def _(scene: Scene) -> str:
    from airoxy.cli import system

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "BOOTED", scene.directory / "not-booted")
        with pytest.raises(Exception, match="systemd") as raised:
            system.require_systemd()
    return str(raised.value)
