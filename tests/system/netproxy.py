"""Lets apt inside a machine reach the Debian mirror, and nothing else.

usage: netproxy.py PID HOST
It listens on 127.0.0.1:3142 in the network namespace of process PID, connects from this one, and
serves GET and CONNECT to HOST only.
"""

from __future__ import annotations

import ctypes
import socket
import sys
import threading
import urllib.parse
from contextlib import suppress

PORT = 3142
CLONE_NEWNET = 0x40000000
TIMEOUT = 60


def listen_in_namespace_of(pid: int) -> socket.socket:
    """A socket belongs to the namespace in which it was made; the process may go home again."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        open("/proc/self/ns/net", encoding="ascii") as home,
        open(f"/proc/{pid}/ns/net", encoding="ascii") as there,
    ):
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
        if libc.setns(home.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    return listener


def serve(client: socket.socket, allowed: str) -> None:
    with client, client.makefile("rb") as lines, suppress(OSError, ValueError):
        method, url, _ = lines.readline().decode("latin-1").split()
        headers = []
        while (line := lines.readline()) not in (b"\r\n", b""):
            if not line.lower().startswith((b"connection:", b"proxy-")):
                headers.append(line)
        target = urllib.parse.urlsplit(f"//{url}" if method == "CONNECT" else url)
        if method not in ("GET", "CONNECT") or target.hostname != allowed:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        default = 443 if method == "CONNECT" else 80
        address = (target.hostname, target.port or default)
        with socket.create_connection(address, timeout=TIMEOUT) as origin:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                threading.Thread(target=copy, args=(client, origin), daemon=True).start()
            else:
                path = target.path + (f"?{target.query}" if target.query else "")
                head = f"GET {path} HTTP/1.1\r\n".encode() + b"".join(headers)
                origin.sendall(head + b"Connection: close\r\n\r\n")
            copy(origin, client)


def copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


def main() -> None:
    listener = listen_in_namespace_of(int(sys.argv[1]))
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, sys.argv[2]), daemon=True).start()


if __name__ == "__main__":
    main()
