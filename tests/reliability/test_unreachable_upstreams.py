"""Upstreams to which no connection comes about, and TLS: what the client gets and the log says."""

from __future__ import annotations

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.ports import free_port
from tests.reliability.conftest import TOKEN
from tests.reliability.raw import STREAM, Client, request, swallowing
from tests.upstream.certificates import Authority


def unreachable(install, url: str, **settings) -> tuple[str, dict[str, int]]:
    """What is said of an upstream that cannot be connected to."""
    airoxy = install(url=url, upstream={"connect_timeout": 1}, **settings).start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    before = airoxy.held()
    with Client(airoxy) as client:
        client.send(request(key))
        answer = client.answer()
    assert (answer.status, answer.is_ours) == (502, True)
    assert answer.json()["error"]["type"] == "api_error"
    (row,) = airoxy.wait_logs(1)
    assert (row["status_code"], row["ending"]) == (502, "upstream_failed")
    airoxy.wait_held(before)
    assert row["error_message"] == answer.json()["error"]["message"]
    return row["error_message"]


def test_an_upstream_that_swallows_connections_is_given_up_in_time(install):
    with swallowing() as port:
        assert "took more than 1 second" in unreachable(install, f"http://127.0.0.1:{port}")


def test_a_connection_that_takes_too_long_is_tried_once_however_many_tokens_there_are(install):
    with swallowing() as port:
        airoxy = install(url=f"http://127.0.0.1:{port}", upstream={"connect_timeout": 1}).start()
        for name in ("one", "two", "three"):
            airoxy.token(f"{TOKEN}-{name}", name=name)
        with Client(airoxy) as client:
            assert client.send(request(airoxy.key())).answer().status == 502
        (row,) = airoxy.wait_logs(1)
    assert row["attempts"] == 1


def test_an_upstream_that_is_not_there_is_told(install):
    assert "refused" in unreachable(install, f"http://127.0.0.1:{free_port()}")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.mark.parametrize(
    ("certificate", "trusted", "told"),
    [
        ({"names": "DNS:elsewhere.example"}, True, "is for another"),
        ({"until": "20210101000000Z"}, True, "has expired"),
        ({}, False, "does not "),
    ],
    ids=["wrong name", "expired", "unknown authority"],
)
def test_a_certificate_that_is_not_good_is_a_502_that_says_why(
    install, monkeypatch, authority, certificate, trusted, told
):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "ca.pem"))
    with FakeAnthropic(ssl=authority.server(**certificate)) as upstream:
        assert told in unreachable(install, upstream.url)
        assert not upstream.requests


def test_over_tls_all_is_as_without(install, monkeypatch, authority):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "ca.pem"))
    with FakeAnthropic(ssl=authority.server()) as upstream:
        airoxy = install(url=upstream.url).start()
        airoxy.token(TOKEN)
        key = airoxy.key()
        before = airoxy.held()
        upstream.script().broken(after=3, how="fin")
        with Client(airoxy) as client:
            assert not client.send(request(key, STREAM)).answer().whole
            client.close()
        with Client(airoxy) as client:
            assert client.send(request(key)).answer().status == 200
        assert [row["ending"] for row in airoxy.wait_logs(2)] == ["complete", "upstream_failed"]
        upstream.close_idle()
        airoxy.wait_held(before)
