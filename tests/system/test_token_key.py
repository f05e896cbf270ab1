"""The key to the tokens: systemd's credential, from the installation to the purge."""

from __future__ import annotations

import json

from tests.system.machine import Machine
from tests.system.site import TOKEN, Site, until

SEALED = "/etc/credstore.encrypted/airoxy-token-key"


def stored(machine: Machine) -> str:
    """How often the token's text is found below these directories, or "" if not at all."""
    return machine.run(f"grep -rlF {TOKEN} /var/lib/airoxy /etc /run || true")


def reads(site: Site) -> bool:
    listed = json.loads(site.machine.run("airoxy token list --json"))
    return all(row["is_readable"] for row in listed)


def test_the_installation_makes_a_key_that_only_root_and_systemd_can_use(site: Site) -> None:
    machine = site.machine
    assert machine.run(f"stat -c '%U %a' {SEALED}").strip() == "root 600"
    assert site.ask() == 200
    assert stored(machine) == ""
    assert "token.key" not in machine.run("ls -a /var/lib/airoxy")
    assert machine.run("systemctl start airoxy-refresh-tokens airoxy-tidy-log") == ""
    assert "The tokens are encrypted" in machine.run("airoxy doctor", check=False)


def test_the_key_is_changed_under_load_and_the_old_one_opens_nothing(site: Site) -> None:
    machine = site.machine
    machine.run(f"cp {SEALED} /root/old")
    with site.load(clients=2, streams=4, seconds=8) as load:
        told = machine.run("airoxy token rotate-key")
    assert "as systemd's credential" in told
    assert load.report["trouble"] == {}
    assert site.ask() == 200
    assert reads(site)
    machine.run(f"cp /root/old {SEALED}")
    assert not reads(site)
    machine.run("systemctl restart airoxy", check=False)
    until(lambda: "Put it back" in site.journal())
    machine.run("airoxy token remove 1")
    machine.run("airoxy token add - --name two", stdin=f"{TOKEN}\n")
    until(lambda: site.ask() == 200)


def test_without_the_credential_the_reason_is_said_and_with_it_all_is_well(site: Site) -> None:
    machine = site.machine
    machine.run(f"mv {SEALED} /root/kept && systemctl restart airoxy", check=False)
    until(lambda: "Put it back" in site.journal())
    assert "unreadable" in machine.run("airoxy token list")
    status, said = machine.status("airoxy token add - --name two", stdin="sk-ant-api-test-two")
    assert status == 1
    assert len(said.strip().splitlines()) == 1
    machine.run(f"mv /root/kept {SEALED} && systemctl restart airoxy", check=False)
    until(lambda: site.ask() == 200)


def test_a_key_from_before_there_was_systemd_goes_over_to_it(site: Site) -> None:
    machine = site.machine
    machine.run(f"airoxy stop; rm -f /var/lib/airoxy/* {SEALED}; airoxy start")
    machine.run("airoxy token add - --name one", stdin=f"{TOKEN}\n")
    assert machine.run("stat -c '%U %a' /var/lib/airoxy/token.key").strip() == "airoxy 600"
    machine.run("airoxy token rotate-key")
    assert "token.key" not in machine.run("ls -a /var/lib/airoxy")
    made = json.loads(machine.run("airoxy api-key add --name again --json"))
    site.key = made["key"]
    until(lambda: site.ask() == 200)
