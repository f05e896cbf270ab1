"""Faults of the program's packages and of its configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airoxy.cli.doctor import program
from airoxy.cli.doctor.finding import FAIL, OK
from tests.cli.doctor.ward import Ward

ROOT = Path(__file__).parents[3]


def test_the_packages_are_those_of_setup_cfg() -> None:
    text = (ROOT / "setup.cfg").read_text()
    block = re.search(r"^install_requires =\n((?: +.*\n)+)", text, re.MULTILINE)
    assert block
    wanted = dict(line.strip().split(">=") for line in block[1].splitlines())
    assert {name: least for _, name, _, least in program.PACKAGES} == wanted


def test_the_debian_packages_are_those_of_debian_control() -> None:
    control = (ROOT / "debian" / "control").read_text()
    for _, _, package, _ in program.PACKAGES:
        assert f"\n {package}" in control.partition("\nDepends:")[2]


_DPKG = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/asked"
case "$0" in
    *query) cat "$(dirname "$0")/state" ;;
    *) [ "$DPKG_FORCE" ] && echo "ii " > "$(dirname "$0")/state" ;;
esac
"""


@pytest.mark.parametrize("state", ["iF ", "iU ", "iH ", "ii "])
def test_an_installation_that_dpkg_has_not_completed_is_completed(
    ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dpkg", "dpkg-query"):
        (programs / name).write_text(_DPKG)
        (programs / name).chmod(0o755)
    (programs / "state").write_text(state)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    found = list(program.package(ward.installation()))
    if state == "ii ":
        assert found == []
        return
    (finding,) = found
    assert (finding.state, finding.remedy) == (FAIL, "sudo dpkg --configure airoxy")
    assert finding.fix
    assert "completed" in finding.fix()
    assert list(program.package(ward.installation())) == []
    assert "--configure airoxy" in (programs / "asked").read_text()


def test_a_package_that_is_missing_or_too_old_is_named(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = (("nowhere", "nowhere", "python3-nowhere", "1"),
                ("httpx", "httpx", "python3-httpx", "99.1"))  # fmt: skip
    monkeypatch.setattr(program, "PACKAGES", packages)
    missing, old = program.packages(ward.installation())
    assert (missing.state, old.state) == (FAIL, FAIL)
    assert "nowhere does not load" in missing.text
    assert "apt-get install --reinstall python3-nowhere" in missing.remedy
    assert re.fullmatch(r"httpx [\d.]+ is too old, 99.1 is needed\.", old.text)


def test_every_mistake_in_the_configuration_is_a_line(ward: Ward) -> None:
    ward.config.write_text(f"prot: 1\ndatabase: {ward.database}\nworkers: 0\n")
    found = [each for each in ward.examine() if each.check == "configuration"]
    assert [each.state for each in found] == [FAIL, FAIL]
    assert f"{ward.config}:1: prot" in found[0].text
    assert f"{ward.config}:3: workers" in found[1].text
    # The rest goes by what could be understood.
    assert any(str(ward.database) in each.text for each in ward.examine() if each.state == OK)


def test_a_configuration_that_is_not_there_is_named(ward: Ward) -> None:
    ward.config.unlink()
    (found,) = program.configuration(ward.installation())
    assert (found.state, found.text) == (FAIL, f"{ward.config} is not there.")
