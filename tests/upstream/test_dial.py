"""Connections that come about, over TLS and through proxies, and those that do not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from airoxy.upstream import dial
from airoxy.upstream.dial import default_tls
from tests.upstream.certificates import Authority
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, attempt, client, fetch, replies, until

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def failure(run: Run, url: str, **settings: Any) -> str:
    """What a request to `url` fails with."""
    return str(run(attempt(url, **settings)))


# TCP


def test_a_port_where_nobody_listens_is_refused(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        told = failure(run, f"http://127.0.0.1:{port}")
    assert told == f"Cannot connect to 127.0.0.1:{port}: connection refused"


def test_a_name_that_dns_cannot_hold_is_no_crash(run: Run) -> None:
    assert failure(run, f"http://{'a' * 64}.example").startswith("Cannot connect to aaa")


def test_a_name_that_is_not_found_is_said_so() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert dial._reason(error) == "the name cannot be resolved (Name or service not known)"


@pytest.mark.parametrize("url", ["http://127.0.0.1", "http://[::1]", "http://localhost"])
def test_literals_and_names_of_both_families_connect(run: Run, url: str) -> None:
    async def scenario() -> None:
        host = url.removeprefix("http://").strip("[]")
        try:
            server = await asyncio.start_server(accept, host, 0)
        except OSError:
            pytest.skip(f"no {host} here")
        port = server.sockets[0].getsockname()[1]
        upstream = client(f"{url}:{port}")
        assert (await fetch(upstream))[1] == b"hello"
        await upstream.aclose()
        server.close()
        await gone.wait()

    gone = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Peer(reader, writer).answer(HELLO)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    run(scenario())


class Loop:
    """The running loop, with a resolver and addresses that do what the test says."""

    def __init__(self, **addresses: Callable[[], Any]) -> None:
        self.addresses, self.tried = addresses, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        families = {"four": socket.AF_INET, "six": socket.AF_INET6}
        return [
            (families[name.split("_")[0]], socket.SOCK_STREAM, 6, "", (name, port))
            for name in self.addresses
        ]

    async def sock_connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.tried.append(address[0])
        await self.addresses[address[0]]()


async def hangs() -> None:
    await asyncio.Event().wait()


async def works() -> None:
    await asyncio.sleep(0)


async def refuses() -> None:
    raise ConnectionRefusedError(111, "refused")


async def unreachable() -> None:
    raise OSError(101, "unreachable")


def test_families_are_tried_in_turn_and_a_refusal_is_not_waited_out(run: Run) -> None:
    async def scenario() -> None:
        loop = Loop(six_a=refuses, six_b=refuses, four_a=refuses, four_b=works)
        (await dial._connect(loop, "x", 1)).close()  # type: ignore[arg-type]
        assert loop.tried == ["six_a", "four_a", "six_b", "four_b"]

    run(scenario())


def test_an_address_that_does_not_answer_does_not_cost_the_time_limit(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "_NEXT_ADDRESS_AFTER", 0.001)

    async def scenario() -> None:
        loop = Loop(six_a=hangs, four_a=works)
        sock = await dial._connect(loop, "x", 1)  # type: ignore[arg-type]
        assert sock.family == socket.AF_INET
        sock.close()
        await until(lambda: len(asyncio.all_tasks()) == 1)

    run(scenario())


def test_when_all_addresses_fail_the_first_failure_is_told(run: Run) -> None:
    async def scenario() -> None:
        loop = Loop(six_a=unreachable, four_a=refuses)
        with pytest.raises(OSError, match="unreachable"):
            await dial._connect(loop, "x", 1)  # type: ignore[arg-type]

    run(scenario())


def test_cancelling_closes_every_socket(run: Run) -> None:
    async def scenario() -> None:
        loop = Loop(six_a=hangs, four_a=hangs)
        task = asyncio.create_task(dial._connect(loop, "x", 1))  # type: ignore[arg-type]
        await until(lambda: len(loop.tried) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: len(asyncio.all_tasks()) == 1)

    run(scenario())


# TLS


def test_a_request_over_tls(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        negotiated: list[str] = []

        async def script(peer: Peer) -> None:
            negotiated.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
            await replies(HELLO)(peer)

        async with Peers(script, tls=authority.server()) as peers:
            upstream = client(peers.url, ssl_context=authority.trusting())
            for body in (b"x", bytes(3_000_000)):
                assert (await fetch(upstream, b"POST", body=body))[1] == b"hello"
            assert peers.accepted == 1
            await upstream.aclose()
        assert negotiated == ["http/1.1"]

    run(scenario())


@pytest.mark.parametrize(
    ("names", "until", "trusted", "sentence"),
    [
        ("DNS:example.com", "20990101000000Z", True, "is for another"),
        ("IP:127.0.0.1", "20200102000000Z", True, "has expired"),
        ("IP:127.0.0.1", "20990101000000Z", False, "authority that this system does not know"),
    ],
    ids=["another name", "expired", "unknown authority"],
)
def test_a_certificate_that_is_not_accepted_is_told_why(
    run: Run,
    authority: Authority,
    stranger: Authority,
    names: str,
    until: str,
    trusted: bool,
    sentence: str,
) -> None:
    async def scenario() -> str:
        async with Peers(Peer.gone, tls=authority.server(names, until=until)) as peers:
            trust = (authority if trusted else stranger).trusting()
            return await attempt(peers.url, ssl_context=trust)

    told = run(scenario())
    assert told.startswith("TLS with 127.0.0.1:")
    assert f"its certificate {sentence}" in told or sentence in told


def test_plain_http_where_tls_was_expected_is_told(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def scenario() -> str:
        async with Peers(script) as peers:
            return await attempt(peers.url.replace("http:", "https:"))

    assert "wrong version number" in run(scenario())


def test_an_upstream_that_hangs_up_during_tls_is_told(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)

    async def scenario() -> str:
        async with Peers(script) as peers:
            return await attempt(peers.url.replace("http:", "https:"))

    assert "127.0.0.1" in run(scenario())


def test_connecting_has_one_time_limit_for_all_of_it(run: Run) -> None:
    async def scenario() -> str:
        async with Peers(Peer.gone) as peers:
            return await attempt(peers.url.replace("http:", "https:"), connect_timeout=0.05)

    told = run(scenario())
    assert told.endswith("took more than 0.05 seconds")


@pytest.mark.parametrize("how", ["abort", "close", "cancel"])
def test_connecting_can_be_broken_off(run: Run, how: str) -> None:
    async def scenario() -> None:
        async with Peers(Peer.gone) as peers:
            upstream = client(peers.url.replace("http:", "https:"))
            exchange = upstream.start()
            task = asyncio.create_task(
                exchange.send(upstream.head(b"GET", b"/", [(b"host", b"a")]))
            )
            await until(lambda: peers.accepted == 1)
            if how == "cancel":
                task.cancel()
            elif how == "close":
                exchange.close()
            else:
                exchange.abort(LookupError("gone"))
            with pytest.raises((LookupError, asyncio.CancelledError, Exception)) as caught:
                await task
            assert isinstance(caught.value, LookupError) == (how == "abort")
            await until(lambda: upstream.open_connections == 0)
            # Leaving waits for the peer, which waits for our end of the connection.

    run(scenario())


def test_the_system_s_authorities_are_trusted_and_names_verified() -> None:
    context = default_tls()
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
