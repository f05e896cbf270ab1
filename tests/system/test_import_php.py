"""The older PHP installation is taken over on a real system: its clients go on with their keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.guide import typed
from tests.legacy_php.old_airoxy import KEY, OldAiroxy
from tests.system.reader import Reader
from tests.system.site import Site, until

TOKEN = "sk-ant-api-test-one"
#: What stands for the older program: it has the port, and the data is not its own.
OLD_UNIT = """
[Service]
ExecStart=/usr/bin/python3 -m http.server 3800
[Install]
WantedBy=multi-user.target
"""


def settle(site: Site, directory: Path) -> None:
    """An installation that belongs to the web server and is closed to everybody else."""
    old = OldAiroxy(directory / "airoxy", {"AIROXY_PORT": "3900"})
    old.key("alice").token("console", "sk-ant-api-test-two").request().day("2026-10-01", 5)
    site.machine.put("/var/www/airoxy", old.directory)
    site.machine.run("chown -R www-data: /var/www/airoxy; chmod -R go= /var/www/airoxy")


def test_clients_go_on_with_their_keys_and_the_service_can_use_everything(
    site: Site, tmp_path: Path
) -> None:
    machine = site.machine
    settle(site, tmp_path)
    assert "sudo airoxy import-php" in machine.run("airoxy doctor")
    before = machine.run("find /var/www/airoxy -type f -exec sha256sum {} +")

    dry = machine.run("airoxy import-php --dry-run")
    assert "nothing has been changed" in dry
    assert len(json.loads(machine.run("airoxy api-key list --json"))) == 1
    for words in ("", " --force"):
        told = machine.run(f"airoxy import-php{words}")
        assert told.startswith("/var/www/airoxy/database/database.sqlite:\n")
        assert "    port: 3900\n" in told

    assert machine.run("find /var/www/airoxy -type f -exec sha256sum {} +") == before
    site.key = KEY
    until(lambda: site.ask() == 200)
    stats = json.loads(machine.run("airoxy stats --json --by day"))
    assert (stats[0]["day"], stats[0]["requests"]) == ("2026-10-01", 5)
    assert machine.run("find /var/lib/airoxy -not -user airoxy") == ""


def test_an_ordinary_user_is_told_to_use_sudo(site: Site, tmp_path: Path) -> None:
    settle(site, tmp_path)
    status, told = site.machine.status("airoxy import-php", user="nobody")
    assert (status, "sudo" in told) == (1, True)


@pytest.mark.parametrize("release", ["trixie"], indirect=True)
def test_the_guide_leads_over_to_airoxy_and_back(site: Site, tmp_path: Path) -> None:
    machine = site.machine
    settle(site, tmp_path)
    machine.put("/etc/systemd/system/old.service", OLD_UNIT)
    machine.run("airoxy stop; systemctl enable --now old")
    names = {
        "./airoxy_1.1.0-1_all.deb": "/root/airoxy.deb",
        "php8.2-fpm": "old",
        "airoxy uninstall": "airoxy uninstall --yes",
    }
    reader = Reader(machine, names)
    for step in typed("migration-from-php", "migration-from-the-php-installation"):
        if "uninstall" in step:
            site.key = KEY
            until(lambda: site.ask() == 200)
            assert machine.status("systemctl is-active old")[0] == 3
        reader.type(step)
    assert reader.has_met_all()
    assert machine.run("systemctl is-active old").strip() == "active"
    assert machine.status("systemctl is-active airoxy.socket")[0] != 0
    assert machine.run("ls /var/lib/airoxy/airoxy.db")
