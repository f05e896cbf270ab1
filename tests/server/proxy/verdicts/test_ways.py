"""Verdicts where the upstream speaks TLS, where a proxy stands before it, and beside a client that
does not read."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic, Script
from tests.program import Airoxy, ended
from tests.reliability.raw import STREAM, request
from tests.server.proxy.verdicts.accounts import Accounts
from tests.server.proxy.verdicts.table import MOVED, PAUSES, ROWS, Row
from tests.upstream.certificates import Authority


def stalled(script: Script) -> object:
    head = b"HTTP/1.1 429 No\r\nretry-after: 60\r\ncontent-length: 1000000\r\n\r\n"
    return script.raw(head + b'{"type":', close=False)


SOME = {
    **{name: ROWS[name] for name in (
        "retry-after", "balance", "401 of an API key", "401 of an OAuth token, a conversation",
        "403 of the organisation", "401 in HTML", "500",
    )},
    "529 twice": PAUSES["529 twice"],
    "a body that stalls": Row(stalled, "AB", cools=MOVED, seconds=lambda: 60),
}  # fmt: skip


class Tunnel:
    """A proxy that joins whoever sends CONNECT with one port; `count` is how often."""

    def __init__(self, port: int) -> None:
        self._port, self.count = port, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += client.recv(65536)
                assert head.startswith(b"CONNECT ")
                self.count += 1
                server = socket.create_connection(("127.0.0.1", self._port))
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=_join, args=ends, daemon=True).start()


def _join(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeAnthropic]:
    """A fake that speaks TLS, and is trusted."""
    authority = Authority(tmp_path_factory.mktemp("ways") / "authority")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "SSL_CERT_FILE", str(authority.directory / "ca.pem"))
        with FakeAnthropic(ssl=authority.server()) as upstream:
            yield upstream


@pytest.fixture(scope="module", params=["tls", "tls through a proxy"])
def site(
    request: pytest.FixtureRequest, secure: FakeAnthropic, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Airoxy, FakeAnthropic]]:
    with contextlib.ExitStack() as stack:
        settings = {}
        if request.param != "tls":
            tunnel = Tunnel(int(secure.url.rpartition(":")[2]))
            stack.callback(tunnel.close)
            settings["proxy"] = tunnel.url
        directory = tmp_path_factory.mktemp("way") / "airoxy"
        airoxy = Airoxy(directory, secure.url, workers=2, upstream=settings)
        stack.enter_context(ended([airoxy]))
        yield airoxy.start(), secure
        assert not settings or tunnel.count


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("row", SOME.values(), ids=SOME)
def test_a_verdict_holds_whatever_way_leads_to_the_upstream(
    site: tuple[Airoxy, FakeAnthropic], row: Row, stream: bool
) -> None:
    Accounts(*site, row).check(stream=stream)


def test_a_client_that_does_not_read_holds_up_no_verdict(
    site: tuple[Airoxy, FakeAnthropic],
) -> None:
    airoxy, upstream = site
    mine = Accounts(airoxy, upstream, Row(lambda script: script.flood(1 << 30), "A"))
    with airoxy.connect() as client:
        client.sendall(request(mine.key, STREAM))
        upstream.wait(mine.asked)
        for name in ("retry-after", "balance", "401 of an API key", "403 of the organisation"):
            Accounts(airoxy, upstream, ROWS[name]).check(stream=True)
        (seen,) = [seen for seen in upstream.requests if seen.token in
                   [f"sk-ant-api-{name}" for name in mine.ids]]  # fmt: skip
        # What the kernel takes on all sides, and far from the whole.
        assert seen.sent < 128 << 20
        assert seen.gone_at is None
    upstream.wait_gone(seen)
