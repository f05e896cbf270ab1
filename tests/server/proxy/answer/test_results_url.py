"""The address under which a batch's results are fetched."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from airoxy.server.proxy.answer.relay import Held
from airoxy.server.proxy.answer.results_url import PublicAddress, names_results, with_own_host

LOCAL = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))
HOST = (b"host", b"airoxy:3800")
FORWARDED = [HOST, (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"ai.example.com")]
NEAR, FAR = ("127.0.0.1", 1), ("192.0.2.1", 1)


@pytest.mark.parametrize(
    ("tls", "public", "headers", "client", "base"),
    [
        (False, None, [HOST], FAR, b"http://airoxy:3800"),
        (True, None, [HOST], FAR, b"https://airoxy:3800"),
        (False, None, [(b"host", b"[::1]:3800")], FAR, b"http://[::1]:3800"),
        (False, None, [], FAR, None),
        (False, None, FORWARDED, NEAR, b"https://ai.example.com"),
        (False, None, FORWARDED, ("::ffff:127.0.0.1", 1), b"https://ai.example.com"),
        (False, None, FORWARDED, ("::1", 1), b"https://ai.example.com"),
        (False, None, FORWARDED, FAR, b"http://airoxy:3800"),
        (False, None, FORWARDED, None, b"http://airoxy:3800"),
        (False, None, FORWARDED[:2], NEAR, b"https://airoxy:3800"),
        (False, "https://public.example/x", [HOST], FAR, b"https://public.example/x"),
        (False, "https://public.example", FORWARDED, FAR, b"https://public.example"),
        (False, "https://public.example", FORWARDED, NEAR, b"https://ai.example.com"),
        (False, None, [HOST, (b"x-forwarded-proto", b"ftp")], NEAR, b"http://airoxy:3800"),
        (False, None, [HOST, (b"x-forwarded-host", b'a"b')], NEAR, None),
        (False, None, [HOST, (b"x-forwarded-host", b"evil, good.example")], NEAR,
         b"http://good.example"),
    ],
)  # fmt: skip
def test_it_is_the_one_that_the_client_called(tls, public, headers, client, base):
    assert PublicAddress(tls, public, LOCAL).of(headers, client) == base


def changed(body, base=b"http://own:1"):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    answer = asyncio.run(with_own_host(Held(200, headers, body), base))
    assert dict(answer.headers)[b"content-length"] == b"%d" % len(answer.body)
    return answer.body


URL = b"https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"


def test_only_the_host_is_changed():
    own = URL.replace(b"https://api.anthropic.com", b"http://own:1")
    for form in (b'{"a": 1,\n"results_url": "%b", "x":"%b"}', b'{"results_url":"%b","x":"%b"}'):
        assert changed(form % (URL, URL)) == form % (own, URL)
    escaped = URL.replace(b"/", b"\\/")
    assert changed(b'{"results_url":"%b"}' % escaped).startswith(
        b'{"results_url":"http://own:1\\/v1'
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"results_url":null}',
        b'{"results_url":"https://elsewhere.example/x"}',
        b'{"url":"%b"}' % URL,
        b"",
        b'{"text":"\\"results_url\\":\\"%b\\""}' % URL,
    ],
)
def test_anything_else_stays_as_it_came(body):
    assert changed(body) == body
    assert changed(b'{"results_url":"%b"}' % URL, base=None) == b'{"results_url":"%b"}' % URL


def test_it_is_looked_for_in_batches_only():
    json = Held(200, [(b"content-type", b"application/json; charset=utf-8")], b"")
    assert names_results("/v1/messages/batches", json)
    assert names_results("/v1/messages/batches/msgbatch_1/cancel", json)
    assert not names_results("/v1/messages", json)
    assert not names_results("/v1/messages/batches", Held(200, [], b""))
    assert not names_results("/v1/messages/batches", Held(404, json.headers, b""))


def test_a_batch_names_where_the_client_is(airoxy, upstream):
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    asked = {"requests": [{"custom_id": "1", "params": {"model": "claude-haiku-4-5"}}]}
    made = airoxy.request("POST", "/v1/messages/batches", asked, key=key).json()["id"]
    path = f"/v1/messages/batches/{made}"
    told = airoxy.request("GET", path, key=key).json()
    assert told["results_url"] == f"{airoxy.url}{path}/results"
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "ai.example.com"}
    listed = airoxy.request("GET", "/v1/messages/batches", headers=headers, key=key).json()
    assert listed["data"][0]["results_url"] == f"https://ai.example.com{path}/results"
