"""What clients are told instead of an answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.docs.curl import HELLO
from tests.docs.provocations.scene import Scene, post, says
from tests.fake_anthropic import FakeAnthropic
from tests.ports import free_port
from tests.program import Airoxy
from tests.reliability.raw import swallowing
from tests.upstream.certificates import Authority


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


@says("This API key was replaced by a new one, and ended at …")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    airoxy.cli("api-key", "rotate", "1", "--overlap", "0")
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
    limiter = scene.upstream.script().hold()
    with ThreadPoolExecutor(1) as other:
        first = other.submit(airoxy.request, "POST", "/v1/messages", HELLO, key=key)
        limiter.wait_arrived()
        told = post(airoxy, key)
        limiter.open()
        assert first.result().status == 200
    return told


@says("This API key has reached its limit of …; try again in …")
def _(scene: Scene) -> str:
    return limited(scene, "--requests-per-minute", "1", requests=2)


@says("All access tokens are rate limited for …; the first is ready in … seconds")
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
    return scene.elsewhere(free_port())


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


@says("The request's head is larger than … KiB, or has over … headers.")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    return post(airoxy, key, headers={f"x-{n}": "x" * 8000 for n in range(10)})


@says("The request's body did not arrive in time.")
def _(scene: Scene) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIROXY_TEST_TIMEOUTS", '{"body": 0.3}')
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
