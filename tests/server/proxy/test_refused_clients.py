"""Clients without a valid key: counted, and told in the journal as fail2ban understands it."""

from __future__ import annotations

import subprocess
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from airoxy.errors import Unauthorized
from airoxy.server.http.head import read_head
from airoxy.server.proxy.refused_clients import LINES, MOST_LINES, RefusedClients
from tests.program import ROOT, Airoxy, need

WRONG = "ak-" + "0" * 40
FILTER = ROOT / "etc" / "fail2ban" / "airoxy-filter.conf"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
def counted() -> list[None]:
    return []


@pytest.fixture
def clients(counted: list[None]) -> RefusedClients:
    return RefusedClients(LOOPBACK, lambda: counted.append(None))


def refuse(clients: RefusedClients, address: str, now: float = 1000.0, **error: Any) -> None:
    clients.refuse(
        Unauthorized("Invalid API key", **error), (address, 1), SimpleNamespace(headers=[]), now
    )


def test_a_refusal_names_the_address_and_the_request(clients, caplog):
    refuse(clients, "192.0.2.7")
    (record,) = caplog.records
    assert record.getMessage() == "Invalid API key from 192.0.2.7"
    assert record.request_id.startswith("req_airoxy_")


def test_an_expired_key_is_told_apart(clients, caplog):
    refuse(clients, "192.0.2.7", expired=True)
    assert caplog.messages == ["Expired API key from 192.0.2.7"]


def test_who_knocks_without_end_does_not_fill_the_journal(clients, counted, caplog):
    for _ in range(1000):
        refuse(clients, "192.0.2.7")
    assert len(caplog.messages) == LINES
    for number in range(1000):
        refuse(clients, f"2001:db8::{number:x}")
    assert len(caplog.messages) == MOST_LINES
    caplog.clear()
    refuse(clients, "192.0.2.7", now=1060.0)
    assert caplog.messages == [
        f"{2000 - MOST_LINES} more requests had no valid API key.",
        "Invalid API key from 192.0.2.7",
    ]
    assert len(counted) == 2001


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", b"198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", b"203.0.113.1, 198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", b"2001:db8::5", "2001:db8::5"),
        ("127.0.0.1", b"x from 198.51.100.9\n", "127.0.0.1"),
        ("127.0.0.1", b"", "127.0.0.1"),
        ("::ffff:192.0.2.7", b"198.51.100.9", "192.0.2.7"),
        ("192.0.2.7", b"198.51.100.9", "192.0.2.7"),
        ("fe80::1%eth0", b"198.51.100.9", "fe80::1"),
    ],
)
def test_only_a_trusted_proxy_is_believed_where_the_client_sits(clients, peer, forwarded, address):
    told = SimpleNamespace(headers=[(b"x-forwarded-for", forwarded)])
    assert clients.address((peer, 1), told) == address


def test_a_client_that_is_gone_has_no_address(clients):
    assert clients.address(None, SimpleNamespace(headers=[])) == "unknown"


def test_one_connection_has_the_address_that_each_of_its_heads_tells(clients):
    head, found = None, []
    for told in (b"198.51.100.9", b"198.51.100.9", b"203.0.113.1"):
        lines = b"POST / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: " + told + b"\r\n\r\n"
        head = read_head(lines, head)
        asked = SimpleNamespace(head=head, client=("127.0.0.1", 1))
        found.append(clients.address_of(asked))
    assert found == ["198.51.100.9", "198.51.100.9", "203.0.113.1"]


def test_wrong_keys_are_counted_over_all_workers_and_fail2ban_finds_them(install, tmp_path):
    airoxy: Airoxy = install(workers=2).start()
    for _ in range(4):
        headers = {"x-forwarded-for": "198.51.100.9"}
        assert airoxy.request("POST", "/v1/messages", {}, headers, key=WRONG).status == 401
    assert airoxy.request("GET", "/v1/models").status == 401
    metrics = airoxy.request("GET", "/metrics").body.decode()
    assert "airoxy_invalid_keys_total 5.0" in metrics
    assert WRONG not in airoxy.errors
    lines = [line for line in airoxy.errors.splitlines() if "API key from" in line]
    assert [line.split()[4] for line in lines] == ["198.51.100.9"] * 4 + ["127.0.0.1"]
    journal = tmp_path / "journal"
    stamp = "Nov 27 23:59:01 gateway airoxy[4711]: "
    journal.write_text("".join(f"{stamp}{line}\n" for line in lines))
    done = subprocess.run(
        [need("fail2ban-regex"), str(journal), str(FILTER)], capture_output=True, text=True
    )
    assert "Lines: 5 lines, 0 ignored, 5 matched, 0 missed" in done.stdout
