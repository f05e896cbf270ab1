"""The older PHP installation is taken over on a real system: its clients go on with their keys."""

from __future__ import annotations

import json
from pathlib import Path

from tests.legacy_php.old_airoxy import KEY, OldAiroxy
from tests.system.site import Site, until

TOKEN = "sk-ant-api-test-one"


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
