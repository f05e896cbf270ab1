"""The listening TCP sockets of this machine and the processes that hold them, from /proc.

Only root and a socket's owner can see which process holds it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_PROC, _LISTEN = Path("/proc"), "0A"


@dataclass(frozen=True)
class ListeningSocket:
    """A listening socket."""

    address: IPAddress
    port: int
    inode: str

    def meets(self, address: IPAddress) -> bool:
        """Whether it keeps another socket from listening on `address`."""
        wildcard = self.address.is_unspecified or address.is_unspecified
        # A wildcard of IPv6 takes IPv4 too, in most configurations.
        return self.address == address or (
            wildcard and (self.address.version == address.version or 6 in self._versions(address))
        )

    def _versions(self, address: IPAddress) -> set[int]:
        return {each.version for each in (self.address, address) if each.is_unspecified}


@dataclass(frozen=True)
class Process:
    """A process that has a socket open; `group` is the last part of its cgroup's path."""

    pid: int
    name: str
    group: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def listeners(port: int) -> list[ListeningSocket]:
    """The sockets that listen on `port`, of both families."""
    found = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                address, _, number = local.partition(":")
                if state == _LISTEN and int(number, 16) == port:
                    found.append(ListeningSocket(_address(address), port, rest[5]))
    return found


def holders(target: str) -> list[Process]:
    """The processes that have a file (its path) or a socket ("socket:[INODE]") open, as far as we
    may see them."""
    found = []
    for directory in _PROC.iterdir():
        if directory.name.isdecimal() and target in _files(directory):
            with suppress(OSError):
                name = (directory / "comm").read_text().strip()
                group = (directory / "cgroup").read_text().strip().rpartition("/")[2]
                found.append(Process(int(directory.name), name, group))
    return sorted(found, key=lambda process: process.pid)


def parse_listen(text: str) -> tuple[IPAddress, int] | None:
    """Address and port of one of systemd's "[::]:3800 (Stream)"; None for other than TCP."""
    found = re.fullmatch(r"\[?([0-9a-fA-F:.]+?)(?:%\w+)?\]?:([0-9]+) \(Stream\)", text)
    return (ipaddress.ip_address(found[1]), int(found[2])) if found else None


def _files(directory: Path) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in (directory / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(descriptor)


def _address(text: str) -> IPAddress:
    """The kernel writes each 32 bits as a number in the machine's own byte order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    return ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
