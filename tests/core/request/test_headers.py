from base64 import b64encode

import pytest

from airoxy.core.keys import needles
from airoxy.core.pool import Token
from airoxy.core.request.headers import (
    credential,
    credential_for,
    is_forwarded,
    passed_to_upstream,
    query_to_upstream,
    to_client,
    to_upstream,
)

API_KEY = Token(1, "one", "api_key", "sk-ant-api-test-one", None, 0)
OAUTH = Token(2, "two", "oauth", "sk-ant-oat-test-two", 2_000_000_000, 0)
HOST = b"api.anthropic.com"
FLAGS = b"oauth-2025-04-20,claude-code-20250219"


def sent(headers, token=API_KEY):
    return to_upstream(headers, token, HOST)


def test_the_upstream_host_comes_first_and_the_token_is_the_only_credential():
    client = [
        (b"host", b"localhost:3800"),
        (b"authorization", b"Bearer ak-test"),
        (b"x-api-key", b"ak-test"),
        (b"proxy-authorization", b"Basic eA=="),
        (b"cookie", b"session=1"),
    ]
    assert sent(client) == [(b"host", HOST), (b"x-api-key", b"sk-ant-api-test-one")]


def test_what_is_not_listed_passes_in_its_order_with_its_text_and_its_duplicates():
    client = [
        (b"user-agent", b"claude-cli/2.0 (external, cli)"),
        (b"x-stainless-lang", b"js"),
        (b"accept-encoding", b"gzip, br"),
        (b"anthropic-beta", b" a , b"),
        (b"x-odd", b"\xff\xfe  two  spaces "),
        (b"anthropic-beta", b"a"),
        (b"x-odd", b""),
        (b"x-claude-code-session-id", b"s"),
        (b"traceparent", b"00-1-1-01"),
    ]
    assert sent(client)[2:] == client


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-client-cert",
    ],
)
def test_what_belongs_to_the_clients_connection_stays_here(name):
    client = [(b"accept", b"*/*"), (name.encode(), b"x"), (name.encode(), b"y"), (b"x-app", b"cli")]
    assert sent(client)[2:] == [(b"accept", b"*/*"), (b"x-app", b"cli")]


def test_what_the_connection_header_names_stays_here_too():
    client = [
        (b"x-hop", b"1"),
        (b"connection", b"Keep-Alive, X-Hop"),
        (b"x-kept", b"2"),
        (b"connection", b" other-hop "),
        (b"other-hop", b"3"),
    ]
    assert sent(client)[2:] == [(b"x-kept", b"2")]
    assert to_client(client, dict(client)) == [(b"x-kept", b"2")]


def test_naming_the_credential_in_connection_does_not_take_the_token_away():
    client = [(b"connection", b"x-api-key, authorization, host")]
    assert sent(client) == [(b"host", HOST), (b"x-api-key", b"sk-ant-api-test-one")]


def test_an_api_key_request_gets_no_flags_and_no_version():
    assert sent([(b"accept", b"*/*")])[2:] == [(b"accept", b"*/*")]


def test_a_subscription_token_goes_as_bearer_with_flags_and_version_and_no_api_key_beside_it():
    client = [(b"x-api-key", b"ak-test"), (b"accept", b"*/*")]
    assert sent(client, OAUTH) == [
        (b"host", HOST),
        (b"authorization", b"Bearer sk-ant-oat-test-two"),
        (b"accept", b"*/*"),
        (b"anthropic-beta", FLAGS),
        (b"anthropic-version", b"2023-06-01"),
    ]


def test_the_clients_version_is_kept():
    client = [(b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", FLAGS)]
    assert sent(client, OAUTH)[2:] == client


@pytest.mark.parametrize(
    ("betas", "merged"),
    [
        ([b"a"], [b"a," + FLAGS]),
        ([b"a, b"], [b"a, b," + FLAGS]),
        ([b"claude-code-20250219,a"], [b"claude-code-20250219,a,oauth-2025-04-20"]),
        ([b"a , oauth-2025-04-20"], [b"a , oauth-2025-04-20,claude-code-20250219"]),
        ([b"a", b"b"], [b"a", b"b," + FLAGS]),
        ([b"claude-code-20250219", b"a"], [b"claude-code-20250219", b"a,oauth-2025-04-20"]),
        ([b"oauth-2025-04-20", b"claude-code-20250219"],) * 2,
        ([b" claude-code-20250219 ,oauth-2025-04-20,a"],) * 2,
        ([b"oauth-2025-04-20-next"], [b"oauth-2025-04-20-next," + FLAGS]),
        ([b""], [FLAGS]),
        ([b" "], [FLAGS]),
    ],
)
def test_flags_are_merged_after_the_clients_own_and_never_doubled(betas, merged):
    def beta_headers(values):
        return [(b"anthropic-beta", value) for value in values]

    version = [(b"anthropic-version", b"2023-06-01")]
    assert sent(version + beta_headers(betas), OAUTH)[2:] == version + beta_headers(merged)


def test_the_clients_headers_are_the_same_for_the_next_token():
    client = [(b"anthropic-beta", b"a"), (b"x-api-key", b"ak-test")]
    sent(client, OAUTH)
    assert client == [(b"anthropic-beta", b"a"), (b"x-api-key", b"ak-test")]
    assert (b"anthropic-beta", b"a") in sent(client, API_KEY)


def test_an_answer_passes_less_what_is_hop_by_hop():
    answer = [
        (b"date", b"Sun, 22 Nov 2026 12:00:00 GMT"),
        (b"content-type", b"application/json"),
        (b"content-length", b"12"),
        (b"content-encoding", b"gzip"),
        (b"request-id", b"req_1"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"via", b"1.1 google"),
        (b"retry-after", b"1"),
    ]
    hops = [
        (b"connection", b"close"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-authenticate", b"Basic"),
        (b"te", b"trailers"),
        (b"trailer", b"x"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
    ]
    for given in (hops + answer, hops + answer + hops):
        assert to_client(given, dict(given)) == answer
    once = [header for header in hops + answer if header[0] != b"set-cookie"]
    assert to_client(once, dict(once)) == [each for each in answer if each[0] != b"set-cookie"]
    assert once[:7] == hops


@pytest.mark.parametrize("named", [b"x-a", b"keep-alive, X-A", b"close,x-a"])
def test_what_connection_names_does_not_pass(named):
    answer = [(b"x-a", b"1"), (b"connection", named), (b"x-b", b"1")]
    assert to_client(answer, dict(answer)) == [(b"x-b", b"1")]


@pytest.mark.parametrize(
    ("headers", "keys"),
    [
        ([], []),
        ([(b"x-api-key", b"ak-one")], ["ak-one"]),
        ([(b"authorization", b"Bearer ak-one")], ["ak-one"]),
        ([(b"authorization", b"bEARER   ak-one  ")], ["ak-one"]),
        ([(b"authorization", b"Bearer\tak-one")], ["ak-one"]),
        ([(b"authorization", b"Bearer ak-b"), (b"x-api-key", b" ak-a ")], ["ak-a", "ak-b"]),
        ([(b"x-api-key", b"ak-a"), (b"x-api-key", b"ak-b")], ["ak-a", "ak-b"]),
        ([(b"authorization", b"Basic YWs6b25l")], []),
        ([(b"authorization", b"Bearer")], []),
        ([(b"authorization", b"Bearer ")], []),
        ([(b"authorization", b"")], []),
        ([(b"authorization", b"Bearerak-one")], []),
        ([(b"x-api-key", b"")], []),
        ([(b"x-api-key", b"\xff\x80")], ["\xff\x80"]),
        ([(b"proxy-authorization", b"Bearer ak-one"), (b"cookie", b"x-api-key=ak-one")], []),
    ],
)
def test_client_keys_come_from_both_headers_whatever_is_in_them(headers, keys):
    assert credential(headers) == keys


def test_where_only_bearer_is_taken_a_key_is_one():
    assert credential_for(API_KEY, bearer=True) == (
        b"authorization",
        b"Bearer " + API_KEY.secret.encode(),
    )
    assert credential_for(API_KEY) == (b"x-api-key", API_KEY.secret.encode())


# What stays here


def passed(*headers: tuple[bytes, bytes], browsers: bool = False) -> list[tuple[bytes, bytes]]:
    return passed_to_upstream(list(headers), "api_key", browsers=browsers)


@pytest.mark.parametrize(
    "name",
    [
        b"x-real-ip", b"cf-connecting-ip", b"true-client-ip", b"x-client-ip", b"fastly-client-ip",
        b"x-forwarded-for", b"x-forwarded-prefix", b"x-forwarded", b"forwarded", b"forwarded-for",
        b"via", b"client-ip", b"x-remote-addr", b"wl-proxy-client-ip", b"do-connecting-ip",
        b"x-vercel-forwarded-for", b"x-nf-client-connection-ip", b"cloudfront-viewer-address",
        b"x-arr-clientip", b"x-originating-ip", b"x-client-port", b"x-real-port", b"x-user-ip",
        b"cf-ray", b"cf-ipcountry", b"cf-connecting-ipv6", b"cf-pseudo-ipv4", b"cdn-loop",
        b"x-amzn-trace-id", b"fly-region", b"x-envoy-external-address", b"x-azure-socketip",
        b"x-appengine-user-ip", b"x-original-forwarded-for", b"x-original-host", b"x-ip",
        # Who its user is, as a proxy says that asks for a login.
        b"remote-user", b"x-remote-user", b"x-auth-request-email", b"tailscale-user-login",
        b"cf-access-authenticated-user-email", b"x-goog-authenticated-user-email",
        b"ssl-client-cert", b"x-client-dn",
    ],
)  # fmt: skip
def test_where_a_client_sits_is_not_told(name: bytes) -> None:
    assert passed((name, b"192.0.2.1"), (b"accept", b"*/*")) == [(b"accept", b"*/*")]
    assert is_forwarded([(name, b"192.0.2.1")])


@pytest.mark.parametrize(
    "name",
    [
        b"x-request-id", b"traceparent", b"x-client-name", b"x-stainless-os", b"x-app", b"x-source",
        b"anthropic-user-profile-id", b"cf-aig-authorization", b"user-agent", b"x-ship", b"flying",
        b"x-client-ip-" * 10_000,
    ],
)  # fmt: skip
def test_what_only_sounds_like_a_proxys_header_passes(name: bytes) -> None:
    assert passed((name, b"x")) == [(name, b"x")]
    assert not is_forwarded([(name, b"x")])


KEY = b"ak-" + b"x" * 40


@pytest.mark.parametrize("value", [KEY, b"Bearer " + KEY, b'{"key":"' + KEY + b'"}'])
def test_a_client_key_stays_here_in_whichever_header_it_stands(value: bytes) -> None:
    assert passed((b"api-key", value), (b"x-goog-api-key", value)) == []


@pytest.mark.parametrize("value", [b"peak-" + b"0" * 40, KEY + b"y", b"ak-short"])
def test_what_only_looks_like_a_client_key_passes(value: bytes) -> None:
    assert passed((b"x-commit", value)) == [(b"x-commit", value)]


OWN = (b"x-api-key", KEY)


@pytest.mark.parametrize(
    "value",
    [
        KEY + b"y", b"x" + KEY, KEY.replace(b"-", b"%2D"), b"%61" + KEY[1:], b"\\u0061" + KEY[1:],
        KEY.replace(b"-", b"%2525252D"), b"Basic " + b64encode(KEY + b":"),
        b"Basic " + b64encode(b"u:" + KEY), b"Basic " + b64encode(b"us:" + KEY),
    ],
)  # fmt: skip
def test_a_clients_own_key_stays_here_whatever_it_stands_in(value: bytes) -> None:
    assert passed(OWN, (b"x-a", value), (b"accept", b"*/*")) == [(b"accept", b"*/*")]
    own = needles([KEY.decode()])
    assert query_to_upstream(b"a=1&b=" + value.replace(b" ", b"+"), own) == b"a=1"


def test_a_client_key_stays_here_as_the_name_of_a_header() -> None:
    assert passed((KEY.lower(), b"x"), (b"x-" + KEY.lower(), b"x")) == []


def test_what_a_client_offers_that_is_no_key_is_not_looked_for() -> None:
    client = [(b"x-api-key", b"dummy"), (b"x-a", b"a dummy")]
    assert passed(*client) == [(b"x-a", b"a dummy")]


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (b"beta=true", b"beta=true"),
        (b"key=" + KEY, b""),
        (b"a=1&key=" + KEY + b"&b=%2B", b"a=1&b=%2B"),
        (b"a=1&" + KEY, b"a=1"),
        (b"key=" + KEY.replace(b"-", b"%2D"), b""),
        (b"key=" + KEY.replace(b"-", b"%252D") + b"&b", b"b"),
        (b"", b""),
        (b"&&", b"&&"),
    ],
)
def test_a_client_key_in_the_query_stays_here(query: bytes, sent: bytes) -> None:
    assert query_to_upstream(query) == sent


def test_what_a_browser_says_of_its_page_stays_here_if_pages_are_clients() -> None:
    said = [(b"origin", b"https://a"), (b"referer", b"https://a/"), (b"sec-fetch-site", b"x")]
    assert passed(*said) == said
    assert passed(*said, browsers=True) == []
