"""nginx in front of airoxy, asked over HTTP/2: many requests in one connection.

Debian's Caddy would not do: it ends an answer that breaks off as if that were all of it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs import proxies
from tests.docs.proxies import Proxy
from tests.reliability.raw import Answer


class Front:
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def ask(self, key: str, bodies: list[dict[str, Any]]) -> list[Answer]:
        """What becomes of requests that are sent at once."""
        with tempfile.TemporaryDirectory() as directory:
            outputs = [Path(directory) / str(number) for number in range(len(bodies))]
            transfers = [
                "\n".join(
                    [
                        f"url = {self._proxy.url}/v1/messages",
                        f"output = {output}",
                        f"data-binary = {json.dumps(json.dumps(body))}",
                        f'header = "x-api-key: {key}"',
                        'header = "anthropic-version: 2023-06-01"',
                        'header = "content-type: application/json"',
                        'write-out = "%{filename_effective} %{exitcode} %{http_code}\\n"',
                        f"cacert = {self._proxy.directory}/ca/ca.pem",
                        "max-time = 30",
                    ]
                )
                for output, body in zip(outputs, bodies, strict=True)
            ]
            done = subprocess.run(
                ["curl", "--silent", "--http2", "--parallel", "--noproxy", "*", "--config", "-"],
                input="\nnext\n".join(transfers), capture_output=True, text=True, check=False,
            )  # fmt: skip
            told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
            return [_answer(output, told.get(str(output), "1 000")) for output in outputs]


def _answer(output: Path, told: str) -> Answer:
    """Of an output file, and what curl tells of it: its exit status, and HTTP's."""
    failed, status = map(int, told.split())
    body = output.read_bytes() if output.exists() else b""
    return Answer(status, {}, body, whole=not failed)


@contextlib.contextmanager
def front(directory: Path, port: int) -> Iterator[Front | None]:
    """None where there is no nginx."""
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        made = None
        with contextlib.suppress(pytest.skip.Exception):
            made = Front(stack.enter_context(proxies.nginx(directory, [port])))
        yield made
