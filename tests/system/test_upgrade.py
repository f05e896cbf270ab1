"""Upgrades to a newer version: what they cost the clients, and what they leave as it was."""

import json
import subprocess
from typing import Any

import pytest

from airoxy import __version__
from airoxy.store.migrations import MIGRATIONS
from tests.docs.guide import typed
from tests.system import images, package
from tests.system.package import Variant
from tests.system.reader import Reader
from tests.system.site import CONFIG, Site, read, until

#: As it was released.
FIRST = Variant(of="6157efc0580045c3495df5c8d3fc91e6be53ea61")
MIGRATE = """
cat >> usr/lib/python3/dist-packages/airoxy/store/migrations.py <<'EOF'
MIGRATIONS = (*MIGRATIONS, "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")
EOF
"""
LATER = Variant("1.1.1-1")
UNITS = "usr/lib/systemd/system"
OTHER_UNIT = Variant(
    "1.1.2-1", f"sed -i 's/^TimeoutStopSec=.*/TimeoutStopSec=89s/' {UNITS}/*.service"
)
OTHER_COMMENT = Variant("1.1.3-1", f"sed -i '1s/.*/# Says it in other words./' {UNITS}/*.service")
OTHER_SCHEMA = Variant("1.2.0-1", MIGRATE)
OTHER_ADDRESS = Variant(
    "1.4.0-1", f"sed -i 's/^ListenStream=.*/ListenStream=3900/' {UNITS}/*.socket"
)


def upgrade(site: Site, variant: Variant) -> str:
    """What apt says to it."""
    site.machine.put("/root/later.deb", package.build(variant))
    return site.machine.run("apt-get install --yes /root/later.deb")


def running(site: Site, port: int = 3800) -> str:
    """The version that answers."""
    told = site.machine.run(f"curl -s --max-time 30 http://127.0.0.1:{port}/health", check=False)
    return json.loads(told)["version"] if told else ""


def query(site: Site, suffix: str, sql: str) -> str:
    """What the database, or a copy of it, answers."""
    connect = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1])"
    program = f"{connect}; print(db.execute(sys.argv[2]).fetchall())"
    database = f"/var/lib/airoxy/airoxy.db{suffix}"
    return site.machine.run(f"python3 -c '{program}' {database} '{sql}'", user="airoxy").strip()


@pytest.fixture
def older(boot, deb):
    """A site of 1.0.0."""
    try:
        package.git("cat-file", "-e", f"{FIRST.of}^{{commit}}")
    except subprocess.CalledProcessError:
        pytest.skip("this clone does not have the history back to 1.0.0")
    machine = boot(*images.image("trixie", "ready"))
    machine.put("/root/airoxy.deb", package.build(FIRST))
    machine.run("apt-get install --yes /root/airoxy.deb")
    assert "1.0.0" in machine.run("airoxy --version")
    machine.put("/root/later.deb", deb)
    return Site(machine, Site.furnish(machine))


def remembered(site: Site) -> list[list[tuple[object, ...]]]:
    """Keys and tokens, by what both versions tell of them."""
    fields = ("id", "name", "masked", "is_active")
    return [
        [tuple(row[name] for name in fields) for row in told(site, f"{what} list")]
        for what in ("api-key", "token")
    ]


def told(site: Site, command: str) -> Any:
    return json.loads(site.machine.run(f"airoxy {command} --json"))


def test_everything_of_1_0_is_there_after_the_upgrade_and_after_the_way_back(older):
    machine = older.machine
    edited = f"{CONFIG}log_retention_days: 9\n"
    machine.put("/etc/airoxy/airoxy.yaml", edited)
    machine.run("airoxy reload")
    until(lambda: told(older, "stats")["output_tokens"])  # of what was asked to furnish it
    before, used = remembered(older), told(older, "stats")
    with older.load(clients=2, streams=4) as load:
        # dpkg asks what becomes of a file that both sides have changed; Return keeps one's own.
        machine.run("apt-get install --yes /root/later.deb", stdin="\n")
        until(lambda: running(older) == __version__)
    assert load.report["trouble"] == {}
    assert older.ask() == 200
    assert remembered(older) == before
    until(lambda: told(older, "stats")["requests"] > used["requests"])
    until(lambda: told(older, "stats")["output_tokens"] > used["output_tokens"])
    assert read(machine, "/etc/airoxy/airoxy.yaml") == edited
    assert machine.status("airoxy doctor")[0] == 0

    names = {
        "./airoxy_1.0.0-1_all.deb": "/root/airoxy.deb",
        "before-N": f"before-{len(MIGRATIONS)}",
    }
    reader = Reader(machine, names)
    for step in typed("runbooks", "an-upgrade-went-wrong"):
        reader.type(step, stdin="\n")
        if "apt install" in step:
            assert "was written by a newer airoxy" in machine.status("airoxy api-key list")[1]
    assert reader.has_met_all()
    until(lambda: older.ask() == 200)
    assert remembered(older) == before
    assert told(older, "stats")["requests"] >= used["requests"]


def test_an_upgrade_costs_nothing(site):
    main = site.main_pid()
    with site.load(clients=4, streams=20) as load:
        upgrade(site, LATER)
        until(lambda: running(site) == "1.1.1")
        upgrade(site, OTHER_COMMENT)
        until(lambda: running(site) == "1.1.3")
    assert load.report["trouble"] == {}
    assert load.report["streams"] >= 20
    assert site.main_pid() == main  # reloaded, not restarted
    assert load.hitch_ms() < site.start_ms(), load.report


def test_an_upgrade_with_other_units_restarts_the_service_and_refuses_nobody(site):
    main = site.main_pid()
    with site.load(clients=4, streams=20) as load:
        upgrade(site, OTHER_UNIT)
        until(lambda: running(site) == "1.1.2")
    assert load.report["trouble"] == {}
    assert load.report["streams"] >= 20
    assert site.main_pid() != main
    assert "TimeoutStopUSec=1min 29s" in site.machine.run("systemctl show airoxy.service")


def test_an_upgrade_migrates_and_keeps_a_copy_of_the_database(site):
    with site.load(clients=4, streams=20) as load:
        upgrade(site, OTHER_SCHEMA)
        until(lambda: running(site) == "1.2.0")
    assert load.report["trouble"] == {}
    assert load.report["streams"] >= 20
    assert load.hitch_ms() < site.start_ms(), load.report
    assert query(site, f".before-{len(MIGRATIONS) + 1}", "SELECT name FROM tokens") == "[('one',)]"
    assert query(site, "", "SELECT count(*) FROM later") == "[(0,)]"


def test_an_upgrade_to_other_addresses_restarts_the_socket(site):
    upgrade(site, OTHER_ADDRESS)
    assert running(site, 3900) == "1.4.0"
    assert running(site) == ""


def test_addresses_that_were_waiting_for_a_restart_get_it_with_the_upgrade(site):
    """The administrator changed the port and did not restart; the upgrade's daemon-reload makes
    systemd let go of the old one."""
    site.machine.put("/etc/airoxy/airoxy.yaml", "port: 3700\n")
    upgrade(site, LATER)
    assert running(site, 3700) == "1.1.1"


def test_a_socket_that_was_given_up_before_comes_back_with_other_units(site):
    site.machine.put("/etc/airoxy/airoxy.yaml", "port: 3700\n")
    site.machine.run("systemctl daemon-reload")
    upgrade(site, OTHER_UNIT)
    assert running(site, 3700) == "1.1.2"


def test_what_was_stopped_or_disabled_stays_so(site):
    machine = site.machine
    machine.run("systemctl disable airoxy.service airoxy-tidy-log.timer")
    machine.run("systemctl stop airoxy.socket airoxy.service airoxy-refresh-tokens.timer")
    machine.run("systemctl mask airoxy-refresh-tokens.service")
    upgrade(site, OTHER_UNIT)
    states = machine.run(
        "systemctl is-active airoxy.socket airoxy.service airoxy-refresh-tokens.timer;"
        "systemctl is-enabled airoxy.socket airoxy.service airoxy-tidy-log.timer"
        " airoxy-refresh-tokens.service",
        check=False,
    )
    assert states.split() == [
        *("inactive", "inactive", "inactive"),
        *("enabled", "disabled", "disabled", "masked"),
    ]


@pytest.mark.parametrize("variant", [LATER, OTHER_UNIT], ids=["same units", "other units"])
def test_what_was_edited_stays_so_and_nobody_is_asked(site, variant):
    mine = "[Service]\nEnvironment=MINE=1\n"
    site.machine.put("/etc/systemd/system/airoxy.service.d/mine.conf", mine)
    edited = read(site.machine, "/etc/airoxy/airoxy.yaml") + "log_retention_days: 9\n"
    site.machine.put("/etc/airoxy/airoxy.yaml", edited)
    assert "Configuration file" not in upgrade(site, variant)
    assert read(site.machine, "/etc/airoxy/airoxy.yaml") == edited
    assert read(site.machine, "/etc/systemd/system/airoxy.service.d/mine.conf") == mine


def test_a_shipped_configuration_that_changed_is_taken_without_a_question_where_nobody_edited(
    computer,
):
    variant = Variant("1.3.0-1", "echo '# One more line.' >> etc/airoxy/airoxy.yaml")
    computer.put("/root/later.deb", package.build(variant))
    said = computer.run("apt-get install --yes /root/later.deb < /dev/null")
    assert "Configuration file" not in said
    assert "# One more line." in read(computer, "/etc/airoxy/airoxy.yaml")


def test_an_upgrade_whose_service_cannot_start_is_still_an_upgrade(site):
    site.machine.put("/etc/airoxy/airoxy.yaml", "port: many\n")
    before = site.workers()
    upgrade(site, LATER)
    until(lambda: "airoxy.yaml:1: port" in site.journal())
    assert site.machine.run("dpkg-query -W -f '${Status} ${Version}' airoxy") == (
        "install ok installed 1.1.1-1"
    )
    assert before <= site.workers()
