from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from airoxy.server.process.child import LEAVE_LATER, LEAVE_NOW, LEAVE_SOON
from tests.program import ROOT, environment
from tests.server.service import PATIENCE, STUB
from tests.upstream.certificates import Authority

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Solo:
    """One worker, seen from where its parent sits."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(PATIENCE)
        self._clients: list[socket.socket] = []
        fds = [self.listener.fileno(), theirs.fileno()]
        self.process = subprocess.Popen(
            [sys.executable, *STUB, str(directory / "airoxy.yaml"), *map(str, fds)],
            cwd=ROOT, env=environment(), pass_fds=fds, stderr=subprocess.PIPE,
        )  # fmt: skip
        theirs.close()
        self.hear(b"ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr
        self.process.stderr.close()
        for each in (self.listener, self.control, *self._clients):
            each.close()

    def hear(self, words: bytes) -> None:
        """Wait until it says so."""
        while (said := self.control.recv(64)) != words:
            # Told twice to leave, it says twice that it accepts no more.
            assert said.startswith(b"beat ") or said == b"deaf", said

    def leave(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.hear(b"deaf")

    def client(self) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), timeout=PATIENCE)
        self._clients.append(client)
        return client


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Solo]:
    with Solo(tmp_path) as worker:
        yield worker


def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def answered(client: socket.socket, request: bytes = REQUEST) -> bytes:
    """The answer on a connection that stays open, or its beginning if it is a stream."""
    client.sendall(request)
    data = b""
    while not re.search(rb"content-length: ([0-9]+)\r\n\r\n(.+)|first", data):
        data += client.recv(65536)
    return data


def test_it_adds_no_header_to_an_answer(worker: Solo) -> None:
    head, _, body = answered(worker.client()).partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: %d" % len(body)


def test_it_tells_how_many_streams_are_open(worker: Solo) -> None:
    worker.hear(b"beat 0 0 0")
    answered(worker.client(), b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
    while worker.control.recv(64) != b"beat 1 0 0":
        pass


# Leaving


def test_an_idle_connection_is_closed_without_a_reset(worker: Solo) -> None:
    idle, kept = worker.client(), worker.client()
    answered(kept)
    worker.leave(LEAVE_SOON)
    assert read_all(idle) == b""
    assert read_all(kept) == b""
    worker.hear(b"bye")
    assert worker.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("how", [LEAVE_SOON, LEAVE_LATER])
def test_the_last_answer_says_that_it_is_the_last(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "patient").touch()
    with Solo(tmp_path) as worker:
        idle, kept = worker.client(), worker.client()
        answered(kept)
        worker.leave(how)
        for client in (idle, kept):
            client.sendall(REQUEST)
            assert b"\r\nconnection: close\r\n" in read_all(client)
        assert worker.process.wait(PATIENCE) == 0


def test_a_leaving_worker_accepts_no_more_and_refuses_nobody(worker: Solo) -> None:
    stream = worker.client()
    answered(stream, b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
    worker.leave(LEAVE_LATER)
    late = worker.client()
    late.sendall(REQUEST)
    worker.listener.settimeout(PATIENCE)
    successor, _ = worker.listener.accept()
    with successor:
        assert successor.recv(100) == REQUEST


def test_a_running_request_is_finished(worker: Solo, tmp_path: Path) -> None:
    stream = worker.client()
    answered(stream, b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
    worker.leave(LEAVE_SOON)
    (tmp_path / "go").touch()
    assert read_all(stream).endswith(b"5\r\nlast\n\r\n0\r\n\r\n")
    assert worker.process.wait(PATIENCE) == 0
    assert (tmp_path / "closed").exists()


def test_a_request_that_is_being_sent_is_answered(worker: Solo) -> None:
    client = worker.client()
    client.sendall(b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
    assert answered(worker.client())  # by now the half has been read
    worker.leave(LEAVE_SOON)
    client.sendall(b" whole")
    assert read_all(client).endswith(b"\r\n\r\nhalf whole")


def test_leaving_now_breaks_off_and_writes_the_log_rows(worker: Solo, tmp_path: Path) -> None:
    stream = worker.client()
    answered(stream, b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
    worker.leave(LEAVE_LATER)
    worker.process.send_signal(LEAVE_NOW)
    assert not read_all(stream).endswith(b"0\r\n\r\n")
    worker.hear(b"bye")
    assert worker.process.wait(PATIENCE) == 0
    assert (tmp_path / "closed").exists()


def test_a_handshake_may_take_longer_than_a_connection_may_idle(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.files()
    (tmp_path / "tls.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "tls.key").write_bytes(key.read_bytes())
    (tmp_path / "hasty").touch()
    with Solo(tmp_path) as worker:
        idle, silent, slow = (worker.client() for _ in range(3))
        idle = authority.trusting().wrap_socket(idle, server_hostname="localhost")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        talk = authority.trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            talk.do_handshake()
        slow.sendall(outgoing.read())
        incoming.write(slow.recv(65536))
        worker.leave(LEAVE_LATER)
        with idle:
            assert read_all(idle) == b""
        for _ in range(4):  # two beats, and each time that it accepts no more
            assert worker.control.recv(64) != b"bye"
        talk.do_handshake()
        talk.write(REQUEST)
        slow.sendall(outgoing.read())
        incoming.write(read_all(slow))
        assert b"\r\nconnection: close\r\n" in talk.read(65536)
        assert worker.process.wait(PATIENCE) == 0
        assert read_all(silent) == b""


def test_it_leaves_with_its_parent(worker: Solo) -> None:
    worker.control.close()
    assert worker.process.wait(PATIENCE) == 0


# What is no request


def test_garbage_is_refused_in_the_shape_of_the_api(worker: Solo) -> None:
    client = worker.client()
    client.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
    head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_a_head_without_end_is_refused(worker: Solo) -> None:
    client = worker.client()
    client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx-long: ")
    with pytest.raises(ConnectionError):
        for _ in range(100):  # more than the kernel keeps for both sides
            client.sendall(b"a" * 1_000_000)


def test_a_large_body_is_no_head(worker: Solo) -> None:
    client = worker.client()
    body = b"b" * 1_000_000
    client.sendall(b"POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n" % len(body))
    client.sendall(b"connection: close\r\n\r\n" + body)
    assert read_all(client).endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade", b"UPGRADE"])
def test_an_offer_of_http_2_is_passed_over(worker: Solo, name: bytes) -> None:
    """Java's HTTP client makes it with a body behind."""
    request = (
        b"POST /body HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nhost: a\r\n"
        b"content-length: 4\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQ\r\n%b: h2c\r\n\r\nbody"
    ) % name
    client = worker.client()
    for _ in range(2):
        assert answered(client, request).endswith(b"\r\n\r\nbody")


def test_knocking_leaves_no_trace_in_the_journal(worker: Solo) -> None:
    client = worker.client()
    client.sendall(b"garbage\r\n\r\n")
    read_all(client)
    worker.leave(LEAVE_SOON)
    assert worker.process.wait(PATIENCE) == 0
    assert worker.process.stderr
    assert worker.process.stderr.read() == b""
