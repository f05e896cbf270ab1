"""Ask this installation's server for its health, by GET /health over loopback.

Invariant: over TLS a request is only sent to a server that shows the very certificate that is
configured; host names are not compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airoxy.cli.system.listeners import parse_listen
from airoxy.cli.system.system import is_stopped
from airoxy.config import Config, Tls
from airoxy.views.times import span

if TYPE_CHECKING:
    from http.client import HTTPConnection

#: A server that is alive answers in milliseconds.
_TIMEOUT = 5.0
_STRANGER = "another program answers there"
_RELOAD = "sudo airoxy reload"


@dataclass(frozen=True)
class HealthAnswer:
    """What GET /health answered; `status` is None where nobody did, and `body` has the reason, and
    a remedy if one is known."""

    url: str
    status: int | None
    body: Mapping[str, Any]

    def __str__(self) -> str:
        if self.status is None:
            return "; ".join(self.body.values())
        ready = self.body.get("tokens_ready", 0)
        parts = [f"version {self.body.get('version')}", f"up {span(self.body.get('uptime', 0))}"]
        parts.append(f"{ready} token{'' if ready == 1 else 's'} ready")
        parts += [str(self.body[name]) for name in ("reason", "warning") if name in self.body]
        return "; ".join(parts)


@dataclass(frozen=True)
class Own:
    """How this installation's server is recognised: the certificate (DER) in `path`, or the
    `trouble` of reading it; without a path it speaks plain HTTP."""

    path: Path | None = None
    certificate: bytes = b""
    trouble: str = ""


def own_server(tls: Tls) -> Own:
    """Read before the database is opened, for which root's rights are given up."""
    if tls.certificate is None:
        return Own()
    from airoxy.config.certificate import own_certificate

    try:
        return Own(tls.certificate, own_certificate(tls.certificate))
    except PermissionError:
        trouble = "only root may read its certificate; use sudo"
    except OSError as error:
        trouble = f"{tls.certificate}: {error.strerror}"
    except ValueError:
        trouble = f"{tls.certificate} holds no certificate"
    return Own(tls.certificate, trouble=trouble)


def ask_health(listen: list[str], own: Own) -> HealthAnswer | None:
    """Ask the server behind these addresses of the socket unit, by way of loopback where it
    listens there; None if none of them is of TCP."""
    found = next(filter(None, map(parse_listen, listen)), None)
    return ask_server(str(found[0]), found[1], own) if found else None


def ask_if_running(config: Config, own: Own) -> HealthAnswer:
    """Ask the server of this configuration; a service that is stopped would be started by that."""
    if is_stopped():
        return HealthAnswer("", None, {"reason": "the service does not run"})
    return ask_server(config.first_host, config.port, own)


def ask_server(address: str, port: int, own: Own) -> HealthAnswer:
    """Ask the server that listens on this address, by way of loopback where it is a wildcard."""
    # A socket for both families is found by either; IPv6 may be off, or the only one.
    loopback = {"::": ("127.0.0.1", "::1"), "0.0.0.0": ("127.0.0.1",)}  # noqa: S104
    for host in loopback.get(address, (address,)):
        health = _ask(host, port, own)
        if health.status is not None:
            break
    return health


def _ask(host: str, port: int, own: Own) -> HealthAnswer:
    scheme = "https" if own.path else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/health"
    try:
        status, body = _get(host, port, own)
    except _NotOurs as error:
        return HealthAnswer(url, None, dict(zip(("reason", "remedy"), error.args, strict=False)))
    except OSError as error:
        return HealthAnswer(url, None, {"reason": error.strerror or str(error)})
    if "version" in body:
        return HealthAnswer(url, status, body)
    return HealthAnswer(url, None, {"reason": _STRANGER})


class _NotOurs(Exception):
    """Not the configured server answers: the reason, and a remedy if one is known."""


def _get(host: str, port: int, own: Own) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer. Raises OSError and _NotOurs."""
    from http.client import HTTPException  # a fifth of the time in which other commands start

    connection = _connection(host, port, own)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = json.loads(answer.read(1 << 16))
    except (ValueError, HTTPException):
        raise _NotOurs(_STRANGER) from None
    finally:
        connection.close()
    if not isinstance(body, dict):
        raise _NotOurs(_STRANGER)
    if answer.status == 400:
        from airoxy.server.http.tls import HINT

        if HINT in str(body):
            raise _NotOurs("TLS is spoken there", _RELOAD)
    return answer.status, body


def _connection(host: str, port: int, own: Own) -> HTTPConnection:
    """Connected, and with TLS to the right one. Raises OSError and _NotOurs."""
    from http.client import HTTPConnection, HTTPSConnection

    if own.path is None:
        return HTTPConnection(host, port, timeout=_TIMEOUT)
    if own.trouble:
        raise _NotOurs(own.trouble)
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # compared below
    connection = HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
    try:
        connection.connect()
    except ssl.SSLError:
        raise _NotOurs("no TLS is spoken there", _RELOAD) from None
    if connection.sock.getpeercert(binary_form=True) != own.certificate:
        connection.close()
        raise _NotOurs(f"another certificate than {own.path} is shown there", _RELOAD)
    return connection
