"""Where a service listens: addresses with a port, and paths of Unix sockets."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import yaml

from airoxy.config.kinds import shown, text_of


@dataclass(frozen=True, slots=True)
class Listen:
    """An address with a port or a path, or a list of those; they are as systemd writes them."""

    wanted: str = (
        'an address with a port ("127.0.0.1:3801", "[::1]:3801"), a path, or a list of them'
    )

    def read(self, node: yaml.Node) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            return (_listened(node),)
        if not node.value:
            raise ValueError("is empty; to have none, disable the socket's unit")
        found = []
        for item in node.value:
            try:
                found.append(_listened(item))
            except ValueError as error:
                raise ValueError(f"has {shown(item)} in it, which {error}") from None
        return tuple(dict.fromkeys(found))


def _listened(node: yaml.Node) -> str:
    text = text_of(node)
    if text.startswith("/"):
        return _path(text)
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or not 0 < int(port[:9]) < 65536:
        raise ValueError("is no address with a port")
    if host == "localhost":
        return f"{host}:{int(port)}"
    bracketed = host.startswith("[") and host.endswith("]")
    family = socket.AF_INET6 if bracketed else socket.AF_INET
    try:
        address = socket.inet_ntop(family, socket.inet_pton(family, host.strip("[]")))
    except (OSError, ValueError):
        raise ValueError("has no IP address before its port") from None
    return f"[{address}]:{int(port)}" if bracketed else f"{address}:{int(port)}"


def _path(text: str) -> str:
    if text.endswith("/") or any(letter in text for letter in '"\\% '):
        raise ValueError("is no path of a socket that a unit of systemd's takes")
    # What the kernel takes for the path of a Unix socket.
    if len(text.encode()) > 107:
        raise ValueError("is longer than the 107 bytes that a socket's path may have")
    return text


def endpoints(listen: tuple[str, ...]) -> list[tuple[str, int] | str]:
    """Host and port of each address, or its path; localhost is both loopback addresses."""
    found: list[tuple[str, int] | str] = []
    for each in listen:
        host, _, port = each.rpartition(":")
        if each.startswith("/"):
            found.append(each)
        elif host == "localhost":
            found += [("127.0.0.1", int(port)), ("::1", int(port))]
        else:
            found.append((host.strip("[]"), int(port)))
    return found


def urls(listen: tuple[str, ...], *, tls: bool) -> list[str]:
    """What a browser is given of these, less the Unix sockets."""
    scheme = "https" if tls else "http"
    return [
        f"{scheme}://{f'[{place[0]}]' if ':' in place[0] else place[0]}:{place[1]}"
        for place in endpoints(listen)
        if not isinstance(place, str)
    ]
