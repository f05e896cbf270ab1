"""What the client and the journal learn of an error that nobody has foreseen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from airoxy.server.app import create_app
from airoxy.server.http.runner import Runner
from tests.program import ROOT


class Broken:
    """A resource, and a proxy, with a mistake in it."""

    async def __call__(self, *_: Any) -> None:
        raise RuntimeError("what went wrong")

    def read(self, *_: Any) -> Any:
        raise RuntimeError("what went wrong")


class Asked:
    """A request and its response."""

    begun = left = False
    client = ("127.0.0.1", 1)
    status = 0

    def __init__(self, path: str) -> None:
        self.body_told = b""
        self.head = SimpleNamespace(
            is_api=path.startswith("/v1/"), is_http_1_0=False, method="GET", path=path,
            raw_path=path.encode(), query=b"", headers=[],
        )  # fmt: skip

    def abandon(self) -> None:
        """Everything is answered."""

    async def body(self) -> bytes:
        return b""

    async def drain(self) -> None:
        """Everything is sent at once."""

    def begin(self, status: int, headers: Any) -> None:
        self.status = status

    def write(self, piece: bytes, *, more: bool) -> None:
        self.body_told += piece


@pytest.mark.parametrize("path", ["/v1/messages", "/health", "/metrics"])
def test_the_journal_has_the_reason_and_the_client_has_none(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken: Any = Broken()
    asked: Any = Asked(path)
    answer = create_app(broken, broken, broken, broken)(asked, asked)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        Runner(loop, set()).start(answer, asked)
    document = json.loads(asked.body_told)
    error = document["error"]
    assert (asked.status, error["type"]) == (500, "api_error")
    assert "what went wrong" not in error["message"]
    [record] = caplog.records
    assert "what went wrong" in caplog.text
    assert (record.levelname, record.exc_info is None) == ("ERROR", False)
    assert getattr(record, "request_id") == document["request_id"]  # noqa: B009 (mypy)


def test_a_worker_has_no_web_framework():
    code = (
        "import sys, airoxy.server.app, airoxy.server.http.listener, airoxy.server.process.worker;"
        "print([each for each in ('falcon', 'uvicorn', 'httpx') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


def test_the_small_resources_answer_what_they_understand(airoxy):
    for path in ("/", "/health"):
        assert airoxy.request("HEAD", path).body == b""
        assert airoxy.request("GET", path).json()["version"]
        assert airoxy.request("OPTIONS", path).headers["allow"] == "GET, HEAD, OPTIONS"
        refused = airoxy.request("POST", path, {})
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert refused.json()["error"]["type"] == "invalid_request_error"
    assert airoxy.request("GET", "/elsewhere").status == 404
