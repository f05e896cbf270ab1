"""What a browser is told of a page from another origin."""

from airoxy.core.request.browsers import preflight, without_cors

ORIGIN = (b"origin", b"https://tool.example")


def test_a_request_that_asks_for_no_method_is_no_preflight():
    assert preflight([ORIGIN]) is None


def test_all_that_a_page_wants_to_send_is_allowed():
    asked = [
        ORIGIN,
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-headers", b"x-api-key,anthropic-beta"),
    ]
    told = dict(preflight(asked) or [])
    assert told[b"access-control-allow-headers"] == b"x-api-key,anthropic-beta"
    assert b"POST" in told[b"access-control-allow-methods"]
    assert b"access-control-allow-credentials" not in told
    assert b"access-control-allow-private-network" not in told


def test_a_server_in_a_private_network_may_be_asked():
    asked = [
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-private-network", b"true"),
    ]
    assert dict(preflight(asked) or [])[b"access-control-allow-private-network"] == b"true"


def test_what_the_upstream_says_of_origins_is_left_out():
    headers = [(b"access-control-allow-origin", b"https://a"), (b"request-id", b"r")]
    assert without_cors(headers) == [(b"request-id", b"r")]
