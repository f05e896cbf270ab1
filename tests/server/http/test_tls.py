"""TLS to the clients: who comes in, who is told why not, and what a reload does to whom."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.reliability.raw import request
from tests.reliability.test_clients import STREAM, wait_still
from tests.server.service import Crowd, Service
from tests.upstream.certificates import Authority

Begin = Callable[..., Service]
TOKEN = "sk-ant-api-test-one"


def curl(airoxy: Airoxy, *arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "-sS", "--max-time", "20", "--noproxy", "*", *arguments, url or airoxy.url],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def secure(begin: Begin, authority: Authority) -> Callable[..., Service]:
    """Starts the stub server with a certificate of its own."""

    def secure(**settings: object) -> Service:
        service = begin(tls=pair(authority), **settings)
        service.trust = authority.trusting()
        return service

    return secure


def pair(authority: Authority) -> dict[str, str]:
    certificate, key = authority.files()
    return {"certificate": str(certificate), "key": str(key)}


def serial(service: Service) -> str:
    """Of the certificate that a new client sees."""
    connection = service.connect()
    try:
        connection.connect()
        return str(connection.sock.getpeercert()["serialNumber"])
    finally:
        connection.close()


# -- who comes in


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_verifies_and_gets_an_answer(
    secured: Airoxy, authority: Authority, version: str
) -> None:
    ca = str(authority.directory / "ca.pem")
    done = curl(secured, "--cacert", ca, f"--tlsv{version}", "--tls-max", version, "--http2")
    assert json.loads(done.stdout)["name"] == "airoxy", done.stderr


def test_an_old_protocol_is_refused_with_an_alert(secured: Airoxy) -> None:
    done = curl(secured, "-k", "--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0")
    assert done.returncode == 35
    assert "alert protocol version" in done.stderr


def test_plain_http_gets_a_hint(secured: Airoxy) -> None:
    done = curl(secured, "-i", url=secured.url.replace("https", "http"))
    assert done.stdout.startswith("HTTP/1.1 400 ")
    error = json.loads(done.stdout.rpartition("\n")[2])["error"]
    assert error["type"] == "invalid_request_error"
    assert "https://" in error["message"]


@pytest.mark.parametrize("rubbish", [b"\0" * 600, b"SSH-2.0-x\r\n", b"\x16\x03\x01\x40\x00", b""])
def test_rubbish_is_nobodys_news(secured: Airoxy, rubbish: bytes) -> None:
    with socket.create_connection(("127.0.0.1", secured.port)) as client:
        client.sendall(rubbish)
    assert secured.request("GET", "/").status == 200
    assert secured.errors == ""


def test_a_large_body_arrives_whole(secured: Airoxy, upstream: FakeAnthropic) -> None:
    secured.token(TOKEN)
    body = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": [], "x": "y" * 20_000_000}
    assert secured.request("POST", "/v1/messages", body, key=secured.key()).status == 200
    assert upstream.messages[-1].body == json.dumps(body).encode()


def test_who_says_good_bye_has_left(secured: Airoxy, upstream: FakeAnthropic) -> None:
    """A client's close_notify, while its side stays open."""
    secured.token(TOKEN)
    hold = upstream.script().hold()
    client = secured.connect()
    client.sendall(request(secured.key(), STREAM))
    seen = hold.wait_arrived()
    with client.unwrap():
        upstream.wait_gone(seen)
    (row,) = secured.wait_logs(1)
    assert row["ending"] == "client_left"


def test_who_does_not_read_stops_the_upstream_and_is_seen_to_leave(
    secured: Airoxy, upstream: FakeAnthropic
) -> None:
    secured.token(TOKEN)
    upstream.script().flood(1 << 30)
    client = secured.connect()
    client.sendall(request(secured.key(), STREAM))
    (seen,) = upstream.wait_for(1)
    # What the kernel takes on both sides (36 MB each by its defaults), and far from the whole.
    assert wait_still(lambda: seen.sent) < 128 << 20
    client.close()
    upstream.wait_gone(seen)


# -- reload, stop


def test_a_reload_serves_the_renewed_certificate_and_loses_nobody(
    secure: Callable[..., Service], authority: Authority
) -> None:
    service = secure(workers=2)
    streams = [service.open_stream() for _ in range(4)]
    seen = [serial(service)]
    with Crowd(service) as crowd:
        for _ in range(3):
            service.configure(tls=pair(authority))
            service.reload()
            seen.append(serial(service))
    assert not crowd.errors
    assert len(set(seen)) == 4
    service.finish_streams()
    assert [stream.read() for stream in streams] == [b"last\n"] * 4


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("", "holds no private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be used"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_broken_renewal_leaves_everything_as_it_is_and_says_why(
    secure: Callable[..., Service], broken: str | None, words: str
) -> None:
    service = secure()
    worker, before = service.worker(), serial(service)
    key = Path(service.settings["tls"]["key"])
    key.unlink() if broken is None else key.write_text(broken)
    service.reload()
    service.wait_journal("Not reloaded, everything goes on as before")
    assert f"airoxy.yaml:3: tls.key: {key} {words}" in service.journal
    assert (service.worker(), serial(service)) == (worker, before)


def test_a_worker_that_is_replaced_has_what_its_predecessor_had(
    secure: Callable[..., Service], authority: Authority
) -> None:
    service = secure()
    before, old = serial(service), service.worker()
    for path in service.settings["tls"].values():
        Path(path).unlink()
    os.kill(old, signal.SIGKILL)
    service.wait_journal("was killed by SIGKILL")
    assert serial(service) == before
    assert service.worker() != old


def test_tls_is_turned_on_and_off_by_a_reload(begin: Begin, authority: Authority) -> None:
    service = begin()
    service.configure(tls=pair(authority))
    service.reload()
    service.trust = authority.trusting()
    service.worker()
    service.configure(tls=None)
    service.reload()
    service.trust = None
    service.worker()


def test_a_handshake_that_is_under_way_is_finished_by_a_worker_that_leaves(
    secure: Callable[..., Service], authority: Authority
) -> None:
    service = secure()
    old = service.worker()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = authority.trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as client:
        with pytest.raises(ssl.SSLWantReadError):
            talk.do_handshake()
        client.sendall(outgoing.read())
        incoming.write(client.recv(65536))
        service.reload()
        assert service.worker() != old
        talk.do_handshake()
        talk.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        client.sendall(outgoing.read())
        incoming.write(client.recv(65536))
        seen = b""
        while b"\r\n\r\n" not in seen or str(old).encode() not in seen:
            try:
                seen += talk.read(65536)
            except ssl.SSLWantReadError:
                piece = client.recv(65536)
                assert piece, seen
                incoming.write(piece)


def test_a_client_that_does_not_answer_our_good_bye_holds_nobody_up(secured: Airoxy) -> None:
    with secured.connect():
        secured.stop(patience=25)  # OpenSSL's way would take half a minute


# -- where systemd has it


@pytest.mark.parametrize("how", ["credentials", "renewed"])
def test_what_systemd_passes_is_served_where_the_files_may_not_be_read(
    begin: Begin, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    certificate, key = authority.files()
    place = tmp_path / how
    place.mkdir()
    if how == "renewed":
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(place))
        (place / "tls.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    else:
        (place / "airoxy-tls-certificate").write_bytes(certificate.read_bytes())
        (place / "airoxy-tls-key").write_bytes(key.read_bytes())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(place))
    service = begin(tls={"certificate": "/nowhere/a.pem", "key": "/nowhere/b.pem"})
    service.trust = authority.trusting()
    assert service.worker()
