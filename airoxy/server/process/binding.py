"""The sockets that airoxy binds itself where systemd has none for it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from airoxy.errors import AiroxyError

#: The kernel cuts it to net.core.somaxconn: what a burst of clients may wait in.
BACKLOG = 4096
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listening sockets on these IP addresses, on all of both families if there are none. Raises
    AiroxyError that says which address cannot be had."""
    bound: list[socket.socket] = []
    try:
        if hosts:
            for host in hosts:
                _add(bound, host, port, only=len(hosts) == 1)
        else:
            _add_all(bound, port)
    except AiroxyError:
        close(bound)
        raise
    return bound


def close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _add_all(bound: list[socket.socket], port: int) -> None:
    """One socket for both families, or IPv4's where the kernel has no IPv6."""
    try:
        bound.append(_listen("::", port, only_ipv6=False))
    except OSError as error:
        if error.errno not in _NO_SUCH_FAMILY:
            raise _refused("::", port, error) from error
        _add(bound, "0.0.0.0", port, only=True)  # noqa: S104 - all addresses is what is asked for


def _add(bound: list[socket.socket], host: str, port: int, *, only: bool) -> None:
    """localhost is two addresses, of which a host without IPv6 has one."""
    try:
        bound.append(_listen(host, port, only_ipv6=True))
    except OSError as error:
        if only or error.errno not in _NO_SUCH_FAMILY:
            raise _refused(host, port, error) from error


def _listen(host: str, port: int, *, only_ipv6: bool) -> socket.socket:
    ipv6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _refused(host: str, port: int, error: OSError) -> AiroxyError:
    what = {
        errno.EADDRINUSE: "is taken by another program; stop that or change `port`",
        errno.EACCES: "needs more rights; choose a `port` above 1023",
        errno.EADDRNOTAVAIL: "is no address of this machine; change `host`",
    }.get(error.errno or 0, f"cannot be had: {error.strerror}")
    return AiroxyError(f"{f'[{host}]' if ':' in host else host}:{port} {what}.")
