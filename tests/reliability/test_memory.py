"""Request bodies of many clients: memory has a bound, and nobody is locked out for long."""

from __future__ import annotations

import contextlib
import select

import pytest

from tests.reliability.raw import HELLO, Client, request

MIB = 1 << 20


@pytest.fixture
def small(install, monkeypatch):
    """An airoxy on a machine of 256 MiB: 64 for bodies, 16 of them for a key."""
    monkeypatch.setenv("AIROXY_TEST_MEMORY", str(256 * MIB))
    airoxy = install().start()
    airoxy.token("sk-ant-api-test-one")
    return airoxy


@pytest.fixture
def patient(monkeypatch, request):
    """The small one, whose bodies wait for a minute."""
    monkeypatch.setenv("AIROXY_TEST_PATIENCE", "60")
    return request.getfixturevalue("small")


def half(key: str, size: int) -> bytes:
    return request(key, HELLO + b" " * size)[: -size // 2]


def test_half_sent_bodies_of_one_key_do_not_fill_the_memory(small, upstream):
    key, other = small.key(), small.key()
    before = small.peak()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(small)) for _ in range(12)]
        for client in clients:
            client.socket.settimeout(5)
            with contextlib.suppress(TimeoutError):  # it waits in the kernel
                client.socket.sendall(half(key, 12 * MIB))
            client.socket.settimeout(30)
        refused = [client for client in clients[1:] if client.answer().status == 429]
        assert len(refused) == 11
        with Client(small) as client:
            answer = client.send(request(other, HELLO + b" " * MIB)).answer()
            assert answer.status == 200
    assert small.peak() - before < 60 * MIB


def test_a_body_that_finds_no_room_is_told_when_to_come_again(small, upstream):
    key = small.key()
    with Client(small) as holder, Client(small) as client:
        holder.send(half(key, 15 * MIB))
        client.socket.sendall(request(key, HELLO + b" " * 2 * MIB))
        answer = client.answer()
        assert (answer.status, answer.json()["error"]["type"]) == (429, "rate_limit_error")
        assert int(answer.headers[b"retry-after"]) > 0
    assert not upstream.requests


def test_a_body_that_waits_is_read_as_soon_as_there_is_room(patient, upstream):
    key = patient.key()
    large = request(key, HELLO + b" " * (16 * MIB - 50_000))
    with Client(patient) as holder, Client(patient) as client:
        holder.send(large[:-1])
        client.send(request(key, HELLO + b" " * 100_000))
        assert not select.select([client.socket], [], [], 0.3)[0]
        holder.send(large[-1:])
        assert holder.answer().status == 200
        assert client.answer().status == 200


def test_what_was_held_is_free_again_while_the_answer_streams(small, upstream):
    """A stream may take minutes, and its request is long gone."""
    key = small.key()
    gate = upstream.script().paced()
    stream = HELLO.replace(b'"messages"', b'"stream":true,"messages"')
    with Client(small) as streaming, Client(small) as client:
        streaming.socket.sendall(request(key, stream + b" " * 15 * MIB))
        gate.release()
        gate.wait_sent(1)
        client.socket.sendall(request(key, HELLO + b" " * 15 * MIB))
        assert client.answer().status == 200
        gate.open()
        assert streaming.answer().whole
