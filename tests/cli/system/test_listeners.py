"""Who listens, as /proc tells it."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest

from airoxy.cli.system.listeners import ListeningSocket, holders, listeners, parse_listen
from tests.ports import has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    ("family", "host"),
    [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        pytest.param(socket.AF_INET6, "::1", marks=needs_ipv6),
        pytest.param(socket.AF_INET6, "::", marks=needs_ipv6),
    ],
)
def test_who_listens_is_found_with_address_and_process(family: int, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        (found,) = listeners(port)
        assert found.address == ipaddress.ip_address(host)
        (holder,) = holders(f"socket:[{found.inode}]")
        assert holder.pid == os.getpid()
    assert listeners(port) == []


def test_connections_are_not_listeners() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert len(listeners(port)) == 1


def test_who_has_a_file_open_is_found(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w"):
        assert [each.pid for each in holders(str(path))] == [os.getpid()]
    assert holders(str(path)) == []


@pytest.mark.parametrize(
    ("there", "wanted", "meets"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::", True),
        ("0.0.0.0", "::1", False),
        ("::", "127.0.0.1", True),
        ("::", "::1", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_a_wildcard_meets_its_family_and_that_of_ipv6_both(
    there: str, wanted: str, meets: bool
) -> None:
    listener = ListeningSocket(ipaddress.ip_address(there), 3800, "1")
    assert listener.meets(ipaddress.ip_address(wanted)) == meets


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("[::]:3800 (Stream)", "::", 3800),
        ("127.0.0.1:3801 (Stream)", "127.0.0.1", 3801),
        ("[fe80::1%eth0]:3800 (Stream)", "fe80::1", 3800),
    ],
)
def test_systemds_addresses_are_understood(text: str, address: str, port: int) -> None:
    assert parse_listen(text) == (ipaddress.ip_address(address), port)


@pytest.mark.parametrize("text", ["/run/airoxy.sock (Stream)", "127.0.0.1:3800 (Datagram)", ""])
def test_what_is_not_tcp_is_left_out(text: str) -> None:
    assert parse_listen(text) is None
