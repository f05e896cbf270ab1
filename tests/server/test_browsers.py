"""Web pages as clients: what they may ask, what they may read, and what Anthropic hears of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.reliability.raw import HELLO, STREAM, Answer, Client, request

PAGE = (
    b"origin: https://tool.example\r\nreferer: https://tool.example/x\r\nsec-fetch-mode: cors\r\n"
)
ASKING = (
    b"origin: https://tool.example\r\naccess-control-request-method: POST\r\n"
    b"access-control-request-headers: x-api-key,content-type\r\n"
)


@pytest.fixture(scope="module", params=[True, False], ids=["browsers", "no browsers"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Airoxy, str, FakeAnthropic, bool]]:
    with FakeAnthropic() as upstream:
        directory = tmp_path_factory.mktemp("airoxy")
        airoxy = Airoxy(directory, upstream.url, browsers=request.param).start()
        try:
            airoxy.token("sk-ant-api-test-one")
            yield airoxy, airoxy.key(), upstream, request.param
            airoxy.stop()
        finally:
            airoxy.kill()


def answered(airoxy: Airoxy, data: bytes) -> Answer:
    with Client(airoxy) as client:
        answer = client.send(data).answer(bodiless=data.startswith(b"OPTIONS"))
    assert answer
    return answer


def options(path: str, headers: bytes) -> bytes:
    return f"OPTIONS {path} HTTP/1.1\r\nhost: a\r\n".encode() + headers + b"\r\n"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/files", "/health", "/"])
def test_a_preflight_needs_no_key(site: tuple, path: str) -> None:
    airoxy, _, upstream, browsers = site
    upstream.clear()
    answer = answered(airoxy, options(path, ASKING))
    assert (answer.status == 204) == browsers
    allowed = answer.headers.get(b"access-control-allow-headers")
    assert allowed == (b"x-api-key,content-type" if browsers else None)
    assert answer.headers.get(b"access-control-allow-origin") == (b"*" if browsers else None)
    assert not upstream.requests


@pytest.mark.parametrize("body", [HELLO, STREAM])
def test_an_answer_may_be_read_and_says_nothing_of_the_page_upstream(
    site: tuple, body: bytes
) -> None:
    airoxy, key, upstream, browsers = site
    upstream.clear()
    answer = answered(airoxy, request(key, body, headers=PAGE))
    # Without the setting Anthropic hears of the page, and refuses it.
    assert answer.status == (200 if browsers else 401)
    for name in (b"access-control-allow-origin", b"access-control-expose-headers"):
        assert answer.headers.get(name) == (b"*" if browsers else None)
    assert b"access-control-allow-credentials" not in answer.headers
    (seen,) = upstream.requests
    for name in ("origin", "referer", "sec-fetch-mode"):
        assert bool(seen.all(name)) != browsers


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("ak-" + "x" * 40, headers=PAGE), 401),
        (request("KEY", headers=PAGE, path="/v2/x"), 404),
        (request("KEY", headers=PAGE, path="/v1/a/../b"), 404),
        (request("KEY", b"." * (33 << 20), headers=PAGE), 413),
        (request("KEY", None, headers=PAGE, path="/health"), 200),
    ],
)
def test_airoxys_own_answers_may_be_read(site: tuple, data: bytes, status: int) -> None:
    airoxy, key, _, browsers = site
    answer = answered(airoxy, data.replace(b"KEY", key.encode()))
    assert answer.status == status
    assert answer.headers.get(b"access-control-allow-origin") == (b"*" if browsers else None)


def test_the_metrics_are_no_pages_business(site: tuple) -> None:
    airoxy, *_ = site
    answer = answered(airoxy, request("", None, headers=PAGE, path="/metrics"))
    assert b"access-control-allow-origin" not in answer.headers


def test_who_is_no_page_is_told_nothing_of_origins(site: tuple) -> None:
    airoxy, key, *_ = site
    answer = answered(airoxy, request(key))
    assert not [name for name in answer.headers if name.startswith(b"access-control-")]
