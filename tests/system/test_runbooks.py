"""The runbooks, typed as they are written while what they are for is the case."""

from __future__ import annotations

import json
import re

import pytest

from tests.system.reader import Reader
from tests.system.site import Site, until

NO_CREDIT = "credit balance is too low"
HEALTH = "curl -s http://127.0.0.1:3800/health"
#: A disk for the database and for apt's archives, which are what fills it.
DISK = """
airoxy stop
mkdir /disk && mount -t tmpfs -o size=12m tmpfs /disk
cp -a /var/lib/airoxy /disk/airoxy && mkdir /disk/archives
mount --bind /disk/airoxy /var/lib/airoxy && mount --bind /disk/archives /var/cache/apt/archives
airoxy start
"""
FILL = "cat /dev/zero > /disk/archives/large_1_all.deb 2> /dev/null"


@pytest.mark.parametrize("release", ["trixie"], indirect=True)
def test_the_runbooks_do_what_they_say(site: Site) -> None:
    """One machine for all of them, since each leaves airoxy as well as it was."""
    machine = site.machine
    machine.run("airoxy token set one --name work")
    machine.run("airoxy api-key set client --name laptop")
    reader = Reader(machine)
    a_client_key_has_leaked(site, reader)
    an_upstream_token_has_leaked(site, reader)
    machine.run("airoxy token set work-2 --name work")
    an_account_is_out_of_money(site, reader)
    anthropic_is_down(site, reader)
    the_disk_is_full(site, reader)


def a_client_key_has_leaked(site: Site, reader: Reader) -> None:
    leaked = site.key
    said = reader.follow("runbooks", "a-client-key-has-leaked")
    assert site.ask() == 401
    [site.key] = set(re.findall(r"\bak-\w{40}\b", said))
    assert site.key != leaked
    until(lambda: site.ask() == 200)


def an_upstream_token_has_leaked(site: Site, reader: Reader) -> None:
    new = {"token add": "sk-ant-api-test-two\n"}
    said = reader.follow("runbooks", "an-upstream-token-has-leaked", new)
    assert "as systemd's credential" in said
    [token] = json.loads(site.machine.run("airoxy token list --json"))
    assert token["name"] == "work-2"
    until(lambda: site.ask() == 200)


def an_account_is_out_of_money(site: Site, reader: Reader) -> None:
    site.machine.run("touch /run/broke")
    assert site.ask() == 400
    until(lambda: NO_CREDIT in site.machine.run("airoxy token list"))
    site.machine.run("rm /run/broke")
    said = reader.follow("runbooks", "an-account-is-out-of-money")
    assert NO_CREDIT in said
    assert NO_CREDIT not in site.machine.run("airoxy token list")
    until(lambda: site.ask() == 200)


def anthropic_is_down(site: Site, reader: Reader) -> None:
    site.machine.run("touch /run/overloaded")
    assert site.ask() == 529
    until(lambda: " 529 " in site.machine.run("airoxy logs --limit 1"))
    said = reader.follow("runbooks", "anthropic-is-down")
    assert " 529 " in said
    site.machine.run("rm /run/overloaded")
    assert site.ask() == 200


def the_disk_is_full(site: Site, reader: Reader) -> None:
    def waiting() -> int:
        return json.loads(site.machine.run(HEALTH))["log_rows_waiting"]

    def is_noticed() -> bool:
        assert site.ask() == 200
        return waiting() > 0

    site.machine.run(DISK)
    site.machine.run(FILL, check=False)
    until(is_noticed)
    until(lambda: "The database cannot be written" in site.journal())
    said = reader.follow("runbooks", "the-disk-is-full")
    assert '"log_rows_waiting"' in said
    until(lambda: waiting() == 0)
    assert site.ask() == 200
