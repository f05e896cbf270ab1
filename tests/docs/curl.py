"""curl, as a client behind whatever has TLS in front of airoxy."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HELLO = {
    "model": "claude-opus-5-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello"}],
}


class Curl:
    """`authority` is trusted; `key` is sent as x-api-key, and `options` with every call."""

    def __init__(self, url: str, authority: Path, key: str | None, *options: str) -> None:
        self._url = url
        self._common = [
            "curl", "-sS", "--noproxy", "*", "--max-time", "120", "--cacert", str(authority),
            "-H", "anthropic-version: 2023-06-01", *options,
        ]  # fmt: skip
        if key:
            self._common += ["-H", f"x-api-key: {key}"]

    def get(self, path: str, *options: str, times: int = 1) -> str:
        """What curl prints; it makes all the requests one after another, as it likes."""
        command = [*self._common, *options, *[self._url + path] * times]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def post(self, data: dict[str, Any], *options: str, path: str = "/v1/messages") -> Any:
        """The answer's JSON."""
        return json.loads(self.get(path, *sending(data), *options))

    def stream(self, *options: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """A stream; its standard output has the events as they come."""
        return self.begin("/v1/messages", "-N", *sending(HELLO | {"stream": True}), *options)

    @contextlib.contextmanager
    def begin(self, path: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """A request that goes on, with our hand on both of its ends; killed at the end."""
        pipe = subprocess.PIPE
        command = [*self._common, *options, self._url + path]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0) as process:
            try:
                yield process
            finally:
                process.kill()


def sending(data: dict[str, Any]) -> list[str]:
    return ["-H", "content-type: application/json", "--data-binary", json.dumps(data)]
