"""`airoxy doctor` on a real system: each fault is planted, named, repaired or told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.system.machine import Machine
from tests.system.site import CONFIG, Site, until

DB = "/var/lib/airoxy/airoxy.db"
ETC = "/etc/airoxy/airoxy.yaml"
UNITS = (
    "airoxy.socket airoxy.service airoxy-refresh-tokens.timer airoxy-tidy-log.timer"
    " airoxy-notify.timer"
)
MIGRATIONS = "/usr/lib/python3/dist-packages/airoxy/store/migrations.py"
#: Whoever has the port before airoxy.
SQUATTER = "setsid python3 -m http.server --bind 0.0.0.0 3800 >/dev/null 2>&1 &"
#: An upstream that lives in 2020.
OLD_CLOCK = """
import http.server
class Old(http.server.BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None): return "Wed, 01 Jan 2020 12:00:00 GMT"
    def do_GET(self): self.send_error(401)
http.server.HTTPServer(("127.0.0.1", 4001), Old).serve_forever()
"""
#: Place, owner and mode of all that airoxy has; not what comes and goes while a database is open.
LISTING = f"""
find /var/lib/airoxy /etc/airoxy /etc/systemd/system /run/systemd/generator* \\
    -ignore_readdir_race -not -name '*-wal' -not -name '*-shm' -printf '%p %u:%g %m %l\\n' | sort
sha256sum {ETC}
"""
RUNNING = f"systemctl show -p Id,ActiveState,UnitFileState,MainPID,InvocationID {UNITS}"


@dataclass
class Fault:
    """`plant` is a script; the finding of `check` says `says`, and `remedy` where it cannot be
    repaired. `sides` are checks that complain as a consequence, what a repair `leaves` may stay."""

    plant: str
    check: str
    says: str
    remedy: str = ""
    state: str = "fail"
    sides: set[str] = field(default_factory=set)
    leaves: str = "^$"


REPAIRED = {
    "wrong owner of the database": Fault(
        f"chown root: {DB}",
        "database file",
        "belongs to root and not to airoxy",
        sides={"keys", "tokens", "health"},  # the server sees that its files are not there
    ),
    "wrong mode of the database": Fault(
        f"chmod 644 {DB}", "database file", "others may open it (mode 0644)"
    ),
    "wrong owner of the directory": Fault(
        "chown root:root /var/lib/airoxy",
        "directory",
        "belongs to root and not to airoxy",
        sides={"keys", "tokens", "health"},
    ),
    "wrong mode of the directory": Fault(
        "chmod 777 /var/lib/airoxy", "directory", "has mode 0777 and not 0750"
    ),
    "missing directory": Fault(
        "systemctl stop airoxy.socket airoxy.service; rm -r /var/lib/airoxy",
        "directory",
        "/var/lib/airoxy does not exist",
        sides={"socket", "service", "keys", "tokens"},
    ),
    "damaged database": Fault(
        f"systemctl stop airoxy.socket airoxy.service; cp -p {DB} {DB}.before-2;"
        f" dd if=/dev/urandom of={DB} bs=4096 seek=1 count=20 conv=notrunc status=none",
        "database",
        "is damaged",
        sides={"socket", "service", "keys", "tokens", "migrations"},
        leaves=r"airoxy\.db\.(before-2 airoxy:airoxy 640|\S+ airoxy:airoxy 600)",
    ),
    "damaged database under a running service": Fault(
        f"systemctl stop airoxy.service; cp -p {DB} {DB}.before-2;"
        " curl -s -o /dev/null 127.0.0.1:3800/health;"
        f" dd if=/dev/urandom of={DB} bs=100 count=1 conv=notrunc status=none",
        "database",
        "is damaged",
        sides={"keys", "tokens", "migrations", "health", "service"},
        leaves=r"airoxy\.db\.(before-2 airoxy:airoxy 640|damaged-\S+ airoxy:airoxy 600)",
    ),
    "pending migration": Fault(
        f"echo 'MIGRATIONS += (\"CREATE TABLE later (id INTEGER) STRICT\",)' >> {MIGRATIONS}",
        "migrations",
        "The database is of version",
        sides={"keys", "tokens"},
        leaves=r"airoxy\.db\.before-\d+ airoxy:airoxy 600",
    ),
    "masked service": Fault(
        "systemctl stop airoxy.service; systemctl mask airoxy.service",
        "service",
        "airoxy.service is masked",
    ),
    "masked socket": Fault(
        "systemctl stop airoxy.socket airoxy.service; systemctl mask airoxy.socket",
        "socket",
        "airoxy.socket is masked",
        sides={"service"},
    ),
    "disabled timer": Fault(
        "systemctl disable --now airoxy-tidy-log.timer",
        "timers",
        "airoxy-tidy-log.timer is disabled",
    ),
    "stopped service and socket": Fault(
        "systemctl stop airoxy.socket airoxy.service",
        "socket",
        "airoxy.socket is inactive",
        sides={"service"},
    ),
    "expired token": Fault(
        f"echo \"oauth: {{endpoint: 'http://127.0.0.1:4000/v1/oauth/token'}}\" >> {ETC};"
        " printf 'sk-ant-oat-test-x sk-ant-ort-test-x' |"
        " airoxy token add - --name login --expires-in 1; sleep 2",
        "tokens",
        "Token 2 (login) expired",
        state="warn",
        leaves=ETC,
    ),
    "changed port without restart": Fault(
        f"echo 'port: 3900' >> {ETC}",
        "units",
        "not yet seen the changes",
        leaves=rf"{ETC}|/run/systemd/generator",
    ),
    "changed port without restart of the socket": Fault(
        f"echo 'port: 3900' >> {ETC}; systemctl daemon-reload",
        "addresses",
        "Nobody listens on",
        sides={"health"},
        leaves=rf"{ETC}|/run/systemd/generator",
    ),
    "configuration that the service may not read": Fault(
        f"chmod 600 {ETC}",
        "configuration",
        "cannot be read by the user airoxy",
    ),
    "unit file that systemd has not read": Fault(
        "sleep 1.1; touch /usr/lib/systemd/system/airoxy.service",
        "units",
        "not yet seen the changes of airoxy.service",
    ),
}

TOLD = {
    "damaged database without a backup": Fault(
        f"systemctl stop airoxy.socket airoxy.service; rm -f {DB}.before-*;"
        f" dd if=/dev/urandom of={DB} bs=4096 seek=1 count=20 conv=notrunc status=none;"
        " systemctl start airoxy.socket",
        "database", "is damaged", remedy="put a backup of yours in its place",
        sides={"service", "keys", "tokens", "migrations"},
    ),
    "foreign process on the port": Fault(
        f"systemctl stop airoxy.socket airoxy.service; {SQUATTER}"
        " until curl -s -o /dev/null 127.0.0.1:3800; do sleep 0.1; done",
        "port", "is taken by python3 (process", remedy="choose another `port`",
        sides={"socket", "service"},
    ),
    "broken configuration": Fault(
        f"printf 'prot: 1\\nworkers: none\\n' >> {ETC}",
        "configuration", "did you mean port?",
    ),
    "no token": Fault(
        "airoxy token remove 1", "tokens", "There is no token yet",
        remedy="airoxy token add", state="warn", sides={"health"},
    ),
    "no key": Fault(
        "airoxy api-key remove 1", "keys", "There is no client key yet",
        remedy="airoxy api-key add", state="warn",
    ),
    "clock far off": Fault(
        f"printf '%s' '{OLD_CLOCK}' > /root/old.py; setsid python3 /root/old.py >/dev/null 2>&1 &"
        f" sed -i s/:4000/:4001/ {ETC};"
        " until curl -s -o /dev/null 127.0.0.1:4001; do sleep 0.1; done",
        "clock", "ahead of upstream's", remedy="NTP",
    ),
    "unreachable upstream": Fault(
        f"sed -i s/:4000/:9/ {ETC}", "upstream", "connection refused", sides={"clock"},
    ),
    "leftovers of the PHP installation": Fault(
        "mkdir -p /var/www/airoxy /etc/supervisor/conf.d;"
        " touch /etc/supervisor/conf.d/airoxy-server.conf",
        "PHP", "/etc/supervisor/conf.d/airoxy-server.conf, /var/www/airoxy",
        remedy="sudo airoxy import-php", state="warn",
    ),
    "failed job": Fault(
        f"echo \"oauth: {{endpoint: 'http://127.0.0.1:9/token'}}\" >> {ETC};"
        " printf 'sk-ant-oat-test-x sk-ant-ort-test-x' | airoxy token add - --name login;"
        " systemctl start airoxy-refresh-tokens.service || true",
        "timers", "airoxy-refresh-tokens.service ended badly", remedy="journalctl -u",
    ),
    "database where the service may not write": Fault(
        "install -d -o airoxy -g airoxy -m 750 /srv/airoxy;"
        f" echo 'database: /srv/airoxy/airoxy.db' >> {ETC}",
        "sandbox", "may not write to /srv/airoxy", remedy="ReadWritePaths=/srv/airoxy",
        sides={"keys", "tokens"},
    ),
}  # fmt: skip


def examine(machine: Machine, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings."""
    status, told = machine.status(f"airoxy doctor --json {' '.join(words)}")
    return status, json.loads(told)


def complaints(findings: list[dict[str, Any]]) -> set[str]:
    return {each["check"] for each in findings if each["state"] in ("warn", "fail")}


def of(findings: list[dict[str, Any]], fault: Fault) -> dict[str, Any]:
    """The finding about this fault."""
    (found, *_) = [e for e in findings if e["check"] == fault.check and fault.says in e["text"]]
    return found


def changes(before: str, after: str) -> list[str]:
    return sorted(set(before.splitlines()) ^ set(after.splitlines()))


def test_a_healthy_system_is_all_well_and_is_left_alone(site: Site) -> None:
    machine = site.machine
    before = machine.run(LISTING), machine.run(RUNNING), machine.run(f"sha256sum {DB}")
    status, told = machine.status("airoxy doctor")
    assert (status, re.findall(r"^(?!ok)\S+ .*", told, re.MULTILINE)) == (0, ["All is well."])
    status, findings = examine(machine, "--fix")
    assert (status, {each["state"] for each in findings}) == (0, {"ok"})
    assert (machine.run(LISTING), machine.run(RUNNING), machine.run(f"sha256sum {DB}")) == before


@pytest.mark.parametrize("name", REPAIRED)
def test_it_names_and_repairs(site: Site, name: str) -> None:
    fault, machine = REPAIRED[name], site.machine
    healthy = machine.run(LISTING)
    machine.run(fault.plant)

    planted = machine.run(LISTING)
    status, findings = examine(machine)
    assert status == (1 if fault.state == "fail" else 0), findings
    assert of(findings, fault)["state"] == fault.state, findings
    assert complaints(findings) <= {fault.check} | fault.sides, findings
    assert machine.run(LISTING) == planted

    status, findings = examine(machine, "--fix")
    assert [each for each in findings if each["check"] == fault.check and each["state"] == "fixed"]
    status, findings = examine(machine)
    assert status == 0, findings
    lost = {"keys", "tokens", "health"} if "missing" in name else set()
    assert complaints(findings) <= lost, findings
    assert [
        line for line in changes(healthy, machine.run(LISTING)) if not re.search(fault.leaves, line)
    ] == []


@pytest.mark.parametrize("name", TOLD)
def test_it_names_and_tells_what_to_do(site: Site, name: str) -> None:
    fault, machine = TOLD[name], site.machine
    machine.run(fault.plant)
    planted = machine.run(LISTING)
    for words in ((), ("--fix",)):
        status, findings = examine(machine, *words)
        found = of(findings, fault)
        assert found["state"] == fault.state, findings
        assert fault.remedy in found["remedy"], findings
        assert status == (1 if fault.state == "fail" else 0), findings
        assert complaints(findings) <= {fault.check} | fault.sides, findings
        assert changes(planted, machine.run(LISTING)) == []


def test_a_repaired_system_serves(site: Site) -> None:
    machine = site.machine
    machine.run(
        f"systemctl stop airoxy.socket airoxy.service; cp -p {DB} {DB}.before-2;"
        f" echo nonsense > {DB}; chown root: {DB}; chmod 777 /var/lib/airoxy;"
        " systemctl mask airoxy.socket; systemctl disable airoxy-tidy-log.timer"
    )
    status, findings = examine(machine, "--fix")
    assert status == 0, findings
    until(lambda: site.ask() == 200)


def test_an_ordinary_user_is_told_to_use_sudo(site: Site) -> None:
    status, told = site.machine.status("airoxy doctor", user="nobody")
    assert (status, told.strip()) == (
        1,
        "airoxy: Only root may look at everything: sudo airoxy doctor",
    )


def test_a_new_port_serves_after_the_repair(site: Site) -> None:
    site.machine.put(ETC, f"{CONFIG}port: 3900\n")
    site.machine.run("airoxy doctor --fix")
    told = site.machine.run("curl -sS --max-time 30 http://127.0.0.1:3900/health")
    assert json.loads(told)["status"] == "ok"
