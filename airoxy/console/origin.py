"""By which names the console may be called, from which origin, and where its clients sit.

Invariant: a request whose Host is a name that is not ours is not answered, whatever it asks: a page
whose name was made to lead here (DNS rebinding) would otherwise be of our own origin.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from airoxy.config import Config
from airoxy.core.limits.addresses import parsed_address


class OwnOrigin:
    """`names` are those by which the console may be called, beside any IP address."""

    def __init__(
        self,
        names: Iterable[str] = (),
        url: str | None = None,
        trusted: Iterable[str] = (),
    ) -> None:
        parts = urlsplit(url or "")
        self._public = (parts.scheme, parts.netloc.lower())
        own = ("localhost", socket.gethostname(), socket.getfqdn(), parts.hostname or "")
        self._names = {name.lower().rstrip(".") for name in (*own, *names) if name}
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names us. No page that was lured here has an IP address in it."""
        if not host or any(letter in host for letter in "/@\\?# ,"):
            return False
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        name = name.rstrip(".")
        return name in self._names or parsed_address(name) is not None

    def of(self, host: str, *, is_tls: bool) -> str:
        """The origin of the pages that are called by this Host."""
        scheme = "https" if is_tls else "http"
        if host.lower() == self._public[1]:
            scheme = self._public[0]
        return f"{scheme}://{host.lower()}"

    def client(self, peer: str | None, headers: Mapping[str, str]) -> str:
        """The client's address; through a Unix socket or a trusted proxy what that says of it."""
        address = parsed_address(peer or "")
        if address is None or any(address in network for network in self._trusted):
            told = parsed_address(headers.get("x-forwarded-for", "").rpartition(",")[2].strip())
            address = told or address
        return str(address) if address else "this machine"


def origin_of(config: Config) -> OwnOrigin:
    """Of a configuration: with the names in the certificate, where the console speaks TLS."""
    names: tuple[str, ...] = ()
    if config.console.tls and config.tls.certificate:
        names = _certified(config)
    return OwnOrigin(names, config.console.public_url, config.trusted_proxies)


def _certified(config: Config) -> tuple[str, ...]:
    from airoxy.config.certificate import own_certificate, parse

    assert config.tls.certificate
    try:
        return parse(own_certificate(config.tls.certificate)).names
    except (OSError, ValueError):
        return ()
