"""Where the console may be told to listen."""

from __future__ import annotations

import pytest
import yaml

from airoxy.config.listen import Listen, endpoints, urls


def read(text: str) -> tuple[str, ...]:
    return Listen().read(yaml.compose(text))


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:3801", ("127.0.0.1:3801",)),
        ("localhost:80", ("localhost:80",)),
        ('"[::1]:3801"', ("[::1]:3801",)),
        ('"[2001:DB8:0::7]:03801"', ("[2001:db8::7]:3801",)),
        ("/run/airoxy/console.sock", ("/run/airoxy/console.sock",)),
        ("[/run/a.sock, /run/a.sock]", ("/run/a.sock",)),
    ],
)
def test_an_address_with_a_port_or_a_path_or_a_list_is_read(text, listen):
    assert read(text) == listen


@pytest.mark.parametrize(
    "text",
    ["3801", "127.0.0.1", "example.com:80", "127.0.0.1:0", "127.0.0.1:65536", "::1:3801",
     "127.0.0.1:http", "run/a.sock", "/run/a b", "/run/%a", "/run/", "[]", "null", "{a: b}",
     "/" + "x" * 107, "127.0.0.1:99999999999999999999", '["127.0.0.1:1", 5]', "127.0.0.1:１"],
)  # fmt: skip
def test_what_systemd_could_not_listen_on_is_refused(text):
    with pytest.raises(ValueError):
        read(text)


def test_localhost_is_both_loopbacks_and_a_browser_is_given_no_path():
    listen = ("localhost:80", "/run/a.sock", "[::1]:3801")
    assert endpoints(listen) == [("127.0.0.1", 80), ("::1", 80), "/run/a.sock", ("::1", 3801)]
    assert urls(listen, tls=True) == ["https://127.0.0.1:80", "https://[::1]:80",
                                      "https://[::1]:3801"]  # fmt: skip
