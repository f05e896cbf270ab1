"""`airoxy doctor` as a whole: what is in order stays so, and no check disturbs another."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from airoxy.cli import main
from airoxy.cli.doctor import examine, line, summary
from airoxy.cli.doctor.finding import FAIL, FIXED, OK, Check, Finding
from airoxy.cli.installation import Installation
from airoxy.store.schema import open_database
from tests.cli.doctor.ward import UNSERVED, Ward

ROOT = Path(__file__).parents[3]


def test_a_healthy_installation_has_nothing_to_complain_about_and_is_left_alone(
    ward: Ward,
) -> None:
    before = ward.listing()
    found = ward.examine(fix=True)
    assert {each.state for each in found if each.check not in UNSERVED} == {OK}
    assert ward.listing() == before


def test_every_finding_is_one_line_without_a_secret(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        ward.token(db, "login", type="oauth", token="sk-ant-oat-test-x",
                   refresh_token="sk-ant-ort-test-x", expires_at=5)  # fmt: skip
    found = ward.examine()
    assert len(found) > 10
    for each in found:
        assert "\n" not in line(each)
        assert "sk-ant" not in line(each)
        assert each.text.endswith(".") or each.check == "packages", each


def test_the_command_prints_lines_a_summary_and_json(ward: Ward) -> None:
    ward.sql("DELETE FROM api_keys")
    command = [sys.executable, "-m", "airoxy", "--config", str(ward.config), "doctor"]
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nwarn   keys           There is no client key yet" in done.stdout
    assert re.search(r"\n\nTo be looked at: .*keys\.\n$", done.stdout)
    done = subprocess.run([*command, "--json"], cwd=ROOT, env=environ, capture_output=True)
    (told,) = [each for each in json.loads(done.stdout) if each["check"] == "keys"]
    assert told["state"] == "warn"
    assert told["remedy"] == "sudo airoxy api-key add --name NAME"
    assert told["fixable"] is False
    ward.configure(workers=0)
    assert subprocess.run(command, cwd=ROOT, env=environ, capture_output=True).returncode == 1


def test_a_check_that_fails_by_itself_is_a_finding_and_the_others_go_on(ward: Ward) -> None:
    def broken(_: Installation) -> Iterator[Finding]:
        raise ZeroDivisionError("oops")

    def fine(_: Installation) -> Iterator[Finding]:
        yield Finding(OK, "Good.")

    found = list(
        examine(ward.installation(), (Check("broken", broken), Check("fine", fine)), repair=True)
    )
    assert [(each.check, each.state) for each in found] == [("broken", FAIL), ("fine", OK)]
    assert "ZeroDivisionError: oops" in found[0].text


def test_what_was_repaired_is_looked_at_again(ward: Ward) -> None:
    ill = {"first", "second"}

    def check(_: Installation) -> Iterator[Finding]:
        for name in sorted(ill):
            fix = partial(heal, name)
            yield Finding(FAIL, f"The {name} is ill.", "Rest.", fix, check=name)

    def heal(name: str) -> str:
        if name == "second":
            raise OSError(28, "No space left on device")
        ill.remove(name)
        return f"The {name} is well."

    found = list(examine(ward.installation(), (Check("many", check),), repair=True))
    assert [(each.check, each.state) for each in found] == [("first", FIXED), ("second", FAIL)]
    assert found[1].remedy.startswith("Rest. Could not be repaired:")
    assert summary(found) == "\nRepaired: first. Wrong: second."


def test_the_package_is_only_looked_at_by_root(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Installation, "packaged", True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["--config", str(ward.config), "doctor"]) == 1
    assert "sudo airoxy doctor" in capsys.readouterr().err


_AS_OWNER = """
import os, sys
from pathlib import Path
from airoxy.cli.command import Context
from airoxy.cli.installation import Installation

def rights():
    return os.geteuid(), os.getegid(), os.getgroups()

before = rights()
installation = Installation(Context(Path(sys.argv[1]), environ={}))
print(installation.as_owner(rights), rights() == before)
try:
    installation.as_owner(lambda: {}["gone"])
except KeyError as error:
    print(repr(error), rights() == before)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, as root can")
def test_the_database_is_only_touched_as_its_owner(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "state", "http://127.0.0.1:9")
    os.chown(ward.database.parent, 12345, 12345)
    command = [sys.executable, "-c", _AS_OWNER, str(ward.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(12345, 12345, []) True", "KeyError('gone') True"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, as root can")
def test_every_line_is_printed_once_whoever_owns_the_database(ward: Ward) -> None:
    for path in (ward.database.parent, ward.database):
        os.chown(path, 12345, 12345)
    ward.database.parent.parent.chmod(0o755)
    command = [sys.executable, "-m", "airoxy", "--config", str(ward.config), "doctor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.count("packages") == 1
