"""The installation, on a system that has nothing that airoxy needs."""

import json
import re

import pytest

from tests.system.machine import Machine

UNITS = (
    "airoxy.socket",
    "airoxy.service",
    "airoxy-console.socket",
    "airoxy-refresh-tokens.timer",
    "airoxy-tidy-log.timer",
    "airoxy-notify.timer",
)
SERVICES = (
    "airoxy.service",
    "airoxy-console.service",
    "airoxy-refresh-tokens.service",
    "airoxy-tidy-log.service",
)
#: Warnings of the machine itself, which has fewer rights than a real one.
OURS = re.compile(r"dbus.*Failed to set fd limit")


def warnings(machine: Machine) -> list[str]:
    """The journal's lines of this boot, warnings and worse."""
    lines = machine.journal("--priority=warning").splitlines()
    return [line for line in lines if not OURS.search(line)]


@pytest.fixture(scope="module")
def minimal(ready, deb):
    """A minimal system after `apt install ./airoxy.deb`, and nothing else."""
    with Machine(ready[-1]) as machine:
        machine.online()
        machine.put("/root/airoxy.deb", deb)
        machine.run("cd /root && apt-get install --yes ./airoxy.deb")
        yield machine


@pytest.mark.parametrize("unit", UNITS)
def test_the_installation_enables_and_starts(minimal, unit):
    assert minimal.run(f"systemctl is-enabled {unit}").strip() == "enabled"
    assert minimal.run(f"systemctl is-active {unit}").strip() == "active"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_service_answers_on_both_families(minimal, host):
    told = json.loads(minimal.run(f"curl -sS --max-time 10 http://{host}:3800/health"))
    assert told["version"]


def test_nothing_has_failed_and_nothing_warns(minimal):
    assert minimal.run("systemctl --failed --no-legend --plain") == ""
    assert warnings(minimal) == []


def test_every_installed_file_is_as_shipped(minimal):
    assert minimal.run("dpkg --verify airoxy") == ""


def test_status_and_doctor_are_content(minimal):
    assert "3800" in minimal.run("airoxy status")
    status, told = minimal.status("airoxy doctor")
    # No token has been added yet, and Anthropic cannot be reached from here.
    complaints = [
        line for line in told.splitlines() if re.search(r"fail|warn|✗|!", line, re.IGNORECASE)
    ]
    assert all(re.search("token|upstream|Anthropic", line) for line in complaints), (status, told)


def test_the_directory_of_the_database_is_the_services_alone(minimal):
    assert minimal.run("stat -c '%U:%G %a' /var/lib/airoxy").strip() == "airoxy:airoxy 750"
    assert minimal.run("stat -c '%U:%G %a' /etc/airoxy/airoxy.yaml").strip() == "root:root 644"


@pytest.fixture(scope="module")
def looked_at(installed):
    """A machine with airoxy installed that nobody changes."""
    with Machine(*installed) as machine:
        yield machine


def test_the_sandbox_is_tight(looked_at):
    for service in SERVICES:
        told = looked_at.run(f"systemd-analyze security --threshold=12 {service}")
        assert re.search(r"exposure level for .*: (0\.\d|1\.[012]) ", told), told


def test_the_units_verify_clean(looked_at):
    told = looked_at.run(f"systemd-analyze verify {' '.join((*UNITS, *SERVICES))}")
    assert told == ""


def test_the_manual_is_found(looked_at):
    pages = looked_at.run("man -w airoxy airoxy.yaml airoxy.service").split()
    assert [page.rpartition("/")[2] for page in pages] == [
        "airoxy.1.gz",
        "airoxy.yaml.5.gz",
        "airoxy.service.8.gz",
    ]


@pytest.mark.parametrize("page", ["man1/airoxy.1", "man5/airoxy.yaml.5", "man8/airoxy.service.8"])
def test_the_manual_renders_without_a_warning(looked_at, page):
    file = f"/usr/share/man/{page}.gz"
    command = f"LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z {file}"
    assert looked_at.run(f"{command} 2>&1 >/dev/null") == ""
    assert " - " in looked_at.run(f"lexgrog {file}")


def test_everything_is_up_again_after_a_reboot(computer):
    for unit in UNITS:
        assert computer.run(f"systemctl is-active {unit}").strip() == "active"
    assert computer.run("systemctl --failed --no-legend --plain") == ""
    assert warnings(computer) == []
