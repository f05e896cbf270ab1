"""The units and the package say the same as the program."""

import re
import shlex
from pathlib import Path

import pytest

from airoxy import __version__
from airoxy.cli import build_parser

ROOT = Path(__file__).parents[1]
UNITS = sorted((ROOT / "systemd").glob("airoxy*.*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
NOTIFY = ROOT / "systemd" / "airoxy-notify.service"
#: What only one of the services has, after its user is named.
OWN = ("LimitNOFILE=", "RestrictAddressFamilies=", "PrivateNetwork=", "LoadCredential",
       "RuntimeDirectory")  # fmt: skip


def settings(unit: Path) -> list[str]:
    return [line for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w+=", line)]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_the_parser_knows_what_a_service_starts(service: Path) -> None:
    (start,) = (line for line in settings(service) if line.startswith("ExecStart="))
    program, *words = shlex.split(start.removeprefix("ExecStart="))
    assert program == "/usr/bin/airoxy"
    assert build_parser().parse_args(words)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_opens_with_a_word_to_the_administrator(unit: Path) -> None:
    assert re.match(r"# \w+.*\n#", unit.read_text())


def test_all_services_are_in_the_same_sandbox() -> None:
    def sandbox(service: Path) -> list[str]:
        lines = settings(service)
        after_user = lines[lines.index("User=airoxy") :]
        return [line for line in after_user if not line.startswith((*OWN, "WantedBy="))]

    first, *others = (sandbox(each) for each in SERVICES if each != NOTIFY)
    assert all(other == first for other in others)


def test_warnings_can_be_mailed_by_programs_with_more_rights() -> None:
    """A mail transport agent's sendmail is setuid or setgid, which each of these would prevent."""
    lines = settings(NOTIFY)
    barring = ("NoNewPrivileges", "CapabilityBoundingSet", "PrivateUsers", "RestrictSUIDSGID",
               "SystemCallFilter", "ProtectSystem=strict", "PrivateNetwork")  # fmt: skip
    assert [line for line in lines if line.startswith(barring)] == []
    assert {"User=airoxy", "LimitCORE=1", "ProtectSystem=full", "ProtectHome=yes"} <= set(lines)


def test_program_package_and_changes_agree_on_the_version() -> None:
    debian = re.match(r"airoxy \((.*)-\d+\)", (ROOT / "debian" / "changelog").read_text())
    changes = re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())
    assert debian
    assert changes
    assert debian[1] == changes[1] == __version__
