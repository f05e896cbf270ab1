"""The commands that speak to systemctl and apt, on a system that has them."""

from __future__ import annotations

import json

from tests.system import package
from tests.system.site import CONFIG, Site, read, until
from tests.system.test_upgrade import LATER

ETC = "/etc/airoxy/airoxy.yaml"


def connects(site: Site, port: int = 3800) -> bool:
    return site.machine.status(f"curl -s -o /dev/null http://127.0.0.1:{port}/")[0] == 0


def test_stop_stops_for_good_and_start_starts_again(site: Site) -> None:
    machine = site.machine
    machine.run("airoxy stop")
    assert not connects(site)
    status, told = machine.status("airoxy status")
    assert (status, told.count("inactive (dead)")) == (1, 2)
    assert machine.run("airoxy start") == "airoxy runs and listens on [::]:3800.\n"
    until(lambda: site.ask() == 200)
    status, told = machine.status("airoxy status")
    assert status == 0
    assert "1 token ready" in told
    timers = json.loads(machine.run("airoxy status --json"))["timers"]
    assert all(timer["next_run"] for timer in timers)


def test_restart_leaves_the_socket_alone_unless_its_address_has_changed(site: Site) -> None:
    machine = site.machine
    since = "systemctl show -P ActiveEnterTimestampMonotonic airoxy.socket"
    before, pid = machine.run(since), site.main_pid()
    machine.run("airoxy restart")
    assert (machine.run(since), site.main_pid() != pid) == (before, True)
    machine.put(ETC, f"{CONFIG}host: localhost\nport: 3900\n")
    told = machine.run("airoxy reload")
    assert "sudo airoxy restart" in told
    assert connects(site, 3800)
    told = machine.run("airoxy restart")
    assert told.startswith("airoxy has been restarted and listens on 127.0.0.1:3900")
    assert connects(site, 3900)
    assert not connects(site, 3800)


def test_a_broken_configuration_is_refused_with_every_mistake(site: Site) -> None:
    pid = site.main_pid()
    site.machine.put(ETC, "prot: 1\nworkers: many\n")
    for verb in ("reload", "restart"):
        status, told = site.machine.status(f"airoxy {verb}")
        assert status == 78
        assert f"{ETC}:1: prot" in told
        assert f"{ETC}:2: workers" in told
    assert site.main_pid() == pid
    assert site.ask() == 200


def test_update_installs_a_file(site: Site) -> None:
    site.machine.put("/root/later.deb", package.build(LATER))
    told = site.machine.run("cd /root && airoxy update later.deb")
    assert told.endswith("airoxy 1.1.1-1 is installed, in the place of 1.1.0-1.\n")
    until(lambda: site.ask() == 200)
    assert "1.1.1" in site.machine.run("airoxy --version")


def test_uninstall_keeps_the_data_and_purge_does_not(site: Site) -> None:
    machine = site.machine
    status, told = machine.status("airoxy uninstall")
    assert (status, "give --yes" in told) == (2, True)
    machine.run("airoxy uninstall --yes")
    assert not connects(site)
    assert "4000" in read(machine, ETC)
    assert "airoxy.db" in machine.run("ls /var/lib/airoxy")
    machine.run("apt-get install --yes /root/airoxy.deb && airoxy uninstall --purge --yes")
    assert machine.status("ls /var/lib/airoxy /etc/airoxy")[0] != 0


def test_an_ordinary_user_is_told_to_use_sudo_and_may_look(site: Site) -> None:
    for verb in ("start", "stop", "restart", "reload", "update", "uninstall --yes"):
        status, told = site.machine.status(f"airoxy {verb}", user="nobody")
        assert (status, f"sudo airoxy {verb.split()[0]}" in told) == (1, True)
    assert site.machine.status("airoxy status", user="nobody")[0] == 0
