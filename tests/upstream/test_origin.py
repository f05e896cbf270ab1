"""URLs of the upstream and of proxies."""

from __future__ import annotations

import pytest

from airoxy.errors import ConfigError
from airoxy.upstream.origin import Origin, parse_origin, parse_proxy, proxy_for, proxy_from_environ


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("https://api.anthropic.com", ("api.anthropic.com", 443, True, b""), b"api.anthropic.com"),
        ("https://API.Anthropic.com:443/", ("api.anthropic.com", 443, True, b""), None),
        ("http://localhost:8080", ("localhost", 8080, False, b""), b"localhost:8080"),
        ("https://gate/way/anthropic/", ("gate", 443, True, b"/way/anthropic"), b"gate"),
        ("http://127.0.0.1", ("127.0.0.1", 80, False, b""), b"127.0.0.1"),
        ("https://[::1]:8443", ("::1", 8443, True, b""), b"[::1]:8443"),
        ("https://[2001:db8::1]", ("2001:db8::1", 443, True, b""), b"[2001:db8::1]"),
        ("https://bücher.example", ("xn--bcher-kva.example", 443, True, b""), None),
        ("https://host/a%20b", ("host", 443, True, b"/a%20b"), b"host"),
    ],
)
def test_an_origin(url: str, origin: tuple[str, int, bool, bytes], host: bytes | None) -> None:
    parsed = parse_origin(url)
    assert parsed == Origin(*origin)
    assert parsed.host_header == (host or parsed.host.encode())


@pytest.mark.parametrize(
    "url",
    [
        "", "api.anthropic.com", "ftp://host", "https://", "https:///path", "https://host:0x50",
        "https://host:99999", "https://user:secret@host", "https://host?a=b", "https://host#x",
        "https://host/ü", "https://host/a b", "https://[::1", "https://ho st",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_origin(url)
    assert str(caught.value).startswith("upstream.url: ")
    assert "secret" not in str(caught.value)


def test_a_proxy_with_a_password() -> None:
    proxy = parse_proxy("http://us%40er:pass%3Aword@proxy.example:3128")
    assert (proxy.host, proxy.port) == ("proxy.example", 3128)
    assert proxy.authorization == b"Basic dXNAZXI6cGFzczp3b3Jk"
    assert "dXNAZXI6cGFzczp3b3Jk" not in repr(proxy)
    assert "word" not in repr(proxy)


def test_a_proxy_without_one() -> None:
    assert parse_proxy("http://[::1]").authorization is None
    assert parse_proxy("http://[::1]").port == 80


@pytest.mark.parametrize(
    "url",
    ["socks5://user:secret@host", "https://user:secret@host", "http://user:secret@", "secret"],
)
def test_what_is_no_proxy_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_proxy(url)
    assert "secret" not in str(caught.value)


HTTPS = "https://api.anthropic.com"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (HTTPS, {"https_proxy": "http://p:1"}, "http://p:1"),
        (HTTPS, {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "http://p:1"),
        (HTTPS, {"HTTPS_PROXY": "http://q:2", "https_proxy": ""}, None),
        (HTTPS, {"HTTP_PROXY": "http://p:1"}, None),
        (HTTPS, {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        (HTTPS, {"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        (HTTPS, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "anthropic.com"}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".anthropic.com"}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1", "no_proxy": "localhost, *"}, "http://p:1"),
        (HTTPS, {"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "thropic.com"}, "http://p:1"),
        ("http://h:8080", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://h:8080", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "h:8080"}, None),
        ("http://h:8080", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "h:8081"}, "http://p:1"),
        ("http://h", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        ("http://h", {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://p:1"),
    ],
)
def test_a_proxy_from_the_environment(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_from_environ(url, environ) == proxy


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"},
        {"HTTPS_PROXY": "http://p:1", "https_proxy": ""},
        {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"},
        {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, anthropic.com ,b"},
        {"HTTPS_PROXY": "http://p:1", "no_proxy": "a,*"},
        {"https_proxy": "http://p:1", "NO_PROXY": "API.anthropic.com:443"},
    ],
)
def test_the_rules_are_those_of_urllib(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    from urllib.request import getproxies_environment, proxy_bypass_environment

    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for url in (HTTPS, "http://api.anthropic.com"):
        scheme = url.split(":")[0]
        bypassed = proxy_bypass_environment("api.anthropic.com")
        expected = None if bypassed else getproxies_environment().get(scheme)
        assert proxy_from_environ(url, os.environ) == expected


def test_a_configured_proxy_takes_precedence_over_the_environment():
    environ = {"https_proxy": "http://q:2", "no_proxy": "api.anthropic.com"}
    assert proxy_for(HTTPS, "http://p:1", environ) == "http://p:1"
    assert proxy_for(HTTPS, None, {"https_proxy": "http://q:2"}) == "http://q:2"
