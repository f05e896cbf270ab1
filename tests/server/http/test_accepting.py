"""Which connections a running airoxy accepts, of clients that show no valid key."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airoxy.server.admission import Admission, Newcomer
from airoxy.server.http.listener import AT_ONCE, HTTPServer
from airoxy.server.http.tls import Talk, TLSContext
from tests.program import Airoxy
from tests.reliability.load import wait
from tests.reliability.raw import Client, request
from tests.upstream.certificates import Authority

TOKEN = "sk-ant-api-test-one"
#: Not that of the tests' other requests, which count as well.
ADDRESS = "127.0.0.2"


@pytest.fixture
def bounded(install: Callable[..., Airoxy]) -> Airoxy:
    """Three connections without a valid key may be open; loopback is no trusted proxy."""
    airoxy = install(connections={"per_address": 3}, trusted_proxies=[]).start()
    airoxy.token(TOKEN)
    return airoxy


@contextlib.contextmanager
def crowd(airoxy: Airoxy, count: int) -> Iterator[list[Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Client(airoxy, address=ADDRESS)) for _ in range(count)]


def asked(client: Client, key: str = "none") -> int | None:
    """The status of the answer; None where the connection is reset instead."""
    answer = client.send(request(key)).answer()
    return answer.status if answer else None


def come(airoxy: Airoxy) -> int | None:
    """The same of one more connection, which may be reset before connect() has returned."""
    with contextlib.suppress(ConnectionResetError), Client(airoxy, address=ADDRESS) as client:
        return asked(client)
    return None


def test_an_address_without_a_key_holds_so_many_connections_and_no_more(bounded):
    with crowd(bounded, 3) as clients:
        assert [asked(client) for client in clients] == [401] * 3
        assert [come(bounded) for _ in range(3)] == [None] * 3
        assert [asked(client) for client in clients[:3]] == [401] * 3
        with Client(bounded, address="127.0.0.3") as other:
            assert asked(other) == 401
    metrics = bounded.request("GET", "/metrics").body.decode()
    assert 'airoxy_refused_connections_total{reason="open"} 3.0' in metrics
    assert bounded.errors.count(f"Connections from {ADDRESS} are refused") == 1


def test_it_may_come_again_when_its_connections_are_closed(bounded):
    with crowd(bounded, 3) as clients:
        assert [asked(client) for client in clients] == [401] * 3
        assert come(bounded) is None
    wait(lambda: come(bounded) == 401)


def test_connections_with_a_valid_key_are_not_counted(bounded):
    key = bounded.key()
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(8):
            clients.append(stack.enter_context(Client(bounded, address=ADDRESS)))
            assert asked(clients[-1], key) == 200
        assert [asked(client, key) for client in clients] == [200] * 8
    assert "are refused" not in bounded.errors


def test_those_that_say_nothing_count_before_their_tls_handshake(
    install: Callable[..., Airoxy], authority: Authority
):
    certificate, key = authority.files()
    airoxy = install(
        connections={"per_address": 3}, trusted_proxies=[],
        tls={"certificate": str(certificate), "key": str(key)},
    )  # fmt: skip
    airoxy.trust = authority.trusting()
    airoxy.start()
    with crowd(airoxy, 3), contextlib.suppress(ConnectionResetError):
        with Client(airoxy, address=ADDRESS) as late:
            assert not late.more()
    with Client(airoxy, address="127.0.0.3") as other:
        with airoxy.trust.wrap_socket(other.socket, server_hostname="localhost") as secure:
            secure.sendall(request("none"))
            assert secure.recv(12) == b"HTTP/1.1 401"


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nhost: a\r\n"])
def test_above_the_most_in_all_the_one_that_waits_longest_for_a_request_is_closed(beginning):
    async def answer(_: object, response: Any) -> None:
        response.begin(200, [(b"content-length", b"0")])
        response.write(b"", more=False)

    async def run() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            admission = Admission(most=2)
            server = HTTPServer(answer, [listening], None, shared=False, admission=admission)
            server.start()
            come = [await asyncio.open_connection(*listening.getsockname()) for _ in range(2)]
            for _, writer in come:
                writer.write(beginning)
            late, writer = await asyncio.open_connection(*listening.getsockname())
            assert await come[0][0].read() == b""
            whole = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
            come[1][1].write(whole.removeprefix(beginning))
            writer.write(whole)
            answers = [await each.readexactly(12) for each in (come[1][0], late)]
            for _, each in (*come, (late, writer)):
                each.close()
            server.close()
            return b" ".join(answers)

    assert asyncio.run(run()) == b"HTTP/1.1 200 HTTP/1.1 200"


def most_in_a_turn(made: list[int]) -> int:
    return max(made.count(turn) for turn in made)


async def counting(turn: list[int], until: Callable[[], bool]) -> None:
    """Count the turns of the loop."""
    while not until():
        turn[0] += 1
        await asyncio.sleep(0)


def test_of_tls_handshakes_that_come_together_one_begins_in_a_turn(authority: Authority):
    turn, begun = [0], list[int]()

    class Counting(TLSContext):
        def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
            begun.append(turn[0])
            return super().wrap_bio(*args, **options)

    context = Counting(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Talk
    context.load_cert_chain(*authority.files())

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
            server = HTTPServer(None, [listening], context, shared=False)  # type: ignore[arg-type]
            crowd = [socket.create_connection(listening.getsockname()) for _ in range(20)]
            for client in crowd:
                client.sendall(client_hello())
            server.start()
            await counting(turn, lambda: len(begun) == 20)
            for client in crowd:
                client.close()
            server.close()

    asyncio.run(run())
    assert most_in_a_turn(begun) == 1


def client_hello() -> bytes:
    """The first word of a client."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # that trusts nobody: reading whom takes long
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_of_connections_that_come_together_a_few_are_accepted_in_a_turn():
    turn, accepted = [0], list[int]()

    class Counting(Admission):
        def admit(self, client: str) -> Newcomer | None:
            accepted.append(turn[0])
            return super().admit(client)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
            admission = Counting()
            server = HTTPServer(None, [listening], None, shared=False, admission=admission)  # type: ignore[arg-type]
            crowd = [socket.create_connection(listening.getsockname()) for _ in range(40)]
            server.start()
            await counting(turn, lambda: len(accepted) == 40)
            for client in crowd:
                client.close()
            server.close()

    asyncio.run(run())
    assert most_in_a_turn(accepted) <= AT_ONCE


def test_proxies_on_this_machine_have_no_bound_of_their_own(install: Callable[..., Airoxy]):
    airoxy = install(connections={"per_address": 1, "per_second": 1}).start()
    with crowd(airoxy, 20) as clients:
        assert [asked(client) for client in clients] == [401] * 20
