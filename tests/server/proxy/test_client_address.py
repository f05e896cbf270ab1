"""The address of the client in a request's row."""

from __future__ import annotations

from collections.abc import Callable

from tests.program import Airoxy

ASKED = {"model": "claude-opus-5-5", "max_tokens": 10, "messages": []}
ADDRESSES: dict[str | None, str] = {
    None: "127.0.0.1",
    "203.0.113.9": "203.0.113.9",
    "198.51.100.7, 2001:db8::9": "2001:db8::9",
    "nobody": "127.0.0.1",
}


def test_the_address_of_the_client_is_in_the_row(install: Callable[..., Airoxy]) -> None:
    airoxy = install().start()
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    for number, (told, address) in enumerate(ADDRESSES.items()):
        headers = {} if told is None else {"X-Forwarded-For": told}
        airoxy.request("POST", "/v1/messages", ASKED, headers, key=key)
        (row, *_) = airoxy.wait_logs(number + 1)
        assert (told, row["client_address"]) == (told, address)


def test_addresses_are_not_kept_where_that_is_not_wanted(install: Callable[..., Airoxy]) -> None:
    airoxy = install(log_client_addresses=False)
    airoxy.token("sk-ant-api-test-one")
    airoxy.start().request("POST", "/v1/messages", ASKED, key=airoxy.key())
    (row,) = airoxy.wait_logs(1)
    assert row["client_address"] is None
