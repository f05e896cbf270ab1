"""What a client is given to paste: where airoxy is, and how each program takes a key."""

from __future__ import annotations

import ipaddress
import socket

from airoxy.config import Config

_BLOCK = """\
Claude Code:
    export ANTHROPIC_BASE_URL={url}
    export ANTHROPIC_AUTH_TOKEN={key}

Anthropic's SDKs:
    export ANTHROPIC_BASE_URL={url}
    export ANTHROPIC_API_KEY={key}

curl:
    curl {url}/v1/models -H 'x-api-key: {key}' -H 'anthropic-version: 2023-06-01'"""


def block(url: str, key: str) -> str:
    """For the client that gets this key, and reaches airoxy there."""
    return _BLOCK.format(url=url, key=key)


def base_url(config: Config) -> str:
    """The address by which clients reach this host: the name in the certificate where there is one,
    the host's own where every address is listened on."""
    if config.tls.certificate is not None:
        return f"https://{_certified(config) or socket.getfqdn()}:{config.port}"
    host = config.first_host
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        name = socket.gethostname() or "localhost"
    else:
        name = f"[{host}]" if address.version == 6 else host
    return f"http://{name}:{config.port}"


def _certified(config: Config) -> str | None:
    """The first name in the certificate, as far as it can be read."""
    from airoxy.config.certificate import own_certificate, parse

    assert config.tls.certificate
    try:
        names = parse(own_certificate(config.tls.certificate)).names
    except (OSError, ValueError):
        return None
    return next((name for name in names if not name.startswith("*")), None)
