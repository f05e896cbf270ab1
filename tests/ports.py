"""Ports for what the tests start, and for what is not there."""

from __future__ import annotations

import os
import random
import socket
from collections import deque

#: What keeps the ports last given out: bound, so that no other test process is given them, and
#: open to be used again, so that whoever listens with SO_REUSEADDR, as all servers do, can.
#: Descriptors and not sockets, which would complain of being left open at the end of the tests.
_kept: deque[int] = deque()


def has_ipv6() -> bool:
    """Whether this machine has an address of IPv6: in many containers it is there, and turned
    off."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port on which nobody listens; below those that the kernel gives to connections, so that
    none of them can take it meanwhile."""
    while True:
        probe = socket.socket()
        try:
            probe.bind(("", port := random.randint(10_000, 32_000)))
        except OSError:
            probe.close()
            continue
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept.append(probe.detach())
        if len(_kept) > 128:
            os.close(_kept.popleft())
        return port
