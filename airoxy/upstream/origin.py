"""The URLs of the upstream and of the HTTP proxy before it, parsed; nothing is opened.

Invariant: the password of a proxy is in no message and no repr.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from airoxy.errors import ConfigError

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """The server that requests go to; `prefix` is put before each target."""

    host: str
    port: int
    tls: bool
    prefix: bytes

    @property
    def authority(self) -> bytes:
        """HOST:PORT, as CONNECT wants it."""
        return f"{_bracketed(self.host)}:{self.port}".encode("ascii")

    @property
    def host_header(self) -> bytes:
        """The value of the Host header: without the port where it goes without saying."""
        if self.port == _DEFAULT_PORTS["https" if self.tls else "http"]:
            return _bracketed(self.host).encode("ascii")
        return self.authority


@dataclass(frozen=True, slots=True)
class HTTPProxy:
    """An HTTP proxy; `authorization` is the value of Proxy-Authorization, if it wants one."""

    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)


def parse_origin(url: str) -> Origin:
    """Raises ConfigError for what is not http(s)://HOST[:PORT][/PREFIX]."""
    parts = _split(url)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or parts.username is not None:
        raise ConfigError("upstream.url: write it as https://HOST, with :PORT or /PATH if needed")
    if parts.query or parts.fragment:
        raise ConfigError("upstream.url: leave out what follows '?' or '#'")
    host, port = _address(parts, "upstream.url")
    prefix = parts.path.rstrip("/")
    if not prefix.isascii() or any(byte <= 32 or byte == 127 for byte in prefix.encode("utf-8")):
        raise ConfigError("upstream.url: the path has characters that must be percent-encoded")
    return Origin(host, port, parts.scheme == "https", prefix.encode("ascii"))


def parse_proxy(url: str) -> HTTPProxy:
    """Raises ConfigError, which does not repeat the URL, for what is no HTTP proxy's URL."""
    parts = _split(url)
    if parts is None or parts.scheme != "http":
        raise ConfigError(
            "proxy: only HTTP proxies can be used, as http://[USER:PASSWORD@]HOST:PORT"
        )
    host, port = _address(parts, "proxy")
    authorization = None
    if parts.username is not None:
        pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        authorization = b"Basic " + base64.b64encode(pair)
    return HTTPProxy(host, port, authorization)


def proxy_for(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy to use for `url`: the configured one, or that of the environment."""
    return configured or proxy_from_environ(url, environ)


def proxy_from_environ(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that https_proxy, http_proxy, all_proxy and no_proxy name for `url`, by the rules
    of Python's urllib: lower case wins, and HTTP_PROXY does not count in a CGI script, where a
    client's header would set it."""
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    parts = _split(url)
    if parts is None:
        return None
    settings = {name: value for name, value in environ.items() if name == name.lower()}
    for name, value in environ.items():
        if name.upper() == "HTTP_PROXY" and name != "http_proxy" and "REQUEST_METHOD" in environ:
            continue
        settings.setdefault(name.lower(), value)
    excepted = settings.get("no_proxy", "")
    if excepted and proxy_bypass_environment(parts.netloc.rpartition("@")[2], {"no": excepted}):
        return None
    proxy = settings.get(f"{parts.scheme}_proxy") or settings.get("all_proxy")
    if not proxy:
        return None
    return proxy if "://" in proxy else "http://" + proxy


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (it is this access that refuses a wrong port)
    except ValueError:
        return None
    return parts if parts.hostname else None


def _address(parts: SplitResult, setting: str) -> tuple[str, int]:
    host = parts.hostname or ""
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ConfigError(f"{setting}: the host name cannot be written in DNS") from None
    if any(character <= " " or character == "\x7f" for character in host):
        raise ConfigError(f"{setting}: the host name has a space or a control character")
    return host, parts.port if parts.port is not None else _DEFAULT_PORTS[parts.scheme]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
