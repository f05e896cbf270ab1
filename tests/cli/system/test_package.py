"""`airoxy update` and `airoxy uninstall`: thin over apt."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.cli import main

Run = Callable[..., tuple[int, str, str]]

_DPKG_QUERY = """#!/bin/sh
[ -f "$(dirname "$0")/version" ] || exit 1
printf 'installed %s' "$(cat "$(dirname "$0")/version")"
"""
_DPKG_DEB = """#!/bin/sh
cat "$2"
"""
_APT_GET = """#!/bin/sh
echo "apt-get $*"
echo "$*" >> "$(dirname "$0")/asked"
echo "$DPKG_FORCE $DEBIAN_FRONTEND" > "$(dirname "$0")/forced"
[ "$1" = install ] && echo 1.1.0-1 > "$(dirname "$0")/version"
[ ! -f "$(dirname "$0")/broken" ]
"""
_APT_CACHE = """#!/bin/sh
cat <<'EOF'
airoxy:
  Installed: 1.0.0-1
  Candidate: 1.1.0-1
  Version table:
     1.1.0-1 500
        500 https://packages.example.org/airoxy ./ Packages
 *** 1.0.0-1 100
        100 /var/lib/dpkg/status
EOF
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an apt-get that writes down what it was asked, and 1.0.0-1 installed."""
    directory = tmp_path / "apt"
    directory.mkdir()
    programs = {"dpkg-query": _DPKG_QUERY, "dpkg-deb": _DPKG_DEB, "apt-get": _APT_GET}
    programs["apt-cache"] = _APT_CACHE
    for name, program in programs.items():
        (directory / name).write_text(program)
        (directory / name).chmod(0o755)
    (directory / "version").write_text("1.0.0-1\n")
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return directory


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        return status, *capfd.readouterr()

    return run


def asked(apt: Path) -> list[str]:
    log = apt / "asked"
    return log.read_text().splitlines() if log.exists() else []


def package(path: Path, name: str = "airoxy") -> Path:
    path.write_text(name)
    return path


def test_update_of_a_file_installs_it(
    run: Run, apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path / "airoxy.deb")
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("update", "airoxy.deb")
    assert (status, asked(apt)) == (0, [f"install {tmp_path}/airoxy.deb"])
    assert out.endswith("airoxy 1.1.0-1 is installed, in the place of 1.0.0-1.\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_without_a_terminal_the_administrators_configuration_stays(
    run: Run, apt: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
    monkeypatch.delenv("DEBIAN_FRONTEND", raising=False)
    run("update")
    forced = (apt / "forced").read_text()
    assert ("confold" in forced) is ("noninteractive" in forced) is not terminal


def test_update_without_a_file_takes_the_newest_that_apt_knows(run: Run, apt: Path) -> None:
    assert run("update")[0] == 0
    assert asked(apt) == ["-qq update", "install --only-upgrade airoxy"]


def test_update_says_how_to_add_a_source_where_none_has_airoxy(run: Run, apt: Path) -> None:
    cache = apt / "apt-cache"
    lines = cache.read_text().splitlines(keepends=True)
    cache.write_text("".join(line for line in lines if "https:" not in line))
    status, _, err = run("update")
    assert (status, asked(apt)) == (1, ["-qq update"])
    assert "airoxy.sources in /etc/apt/sources.list.d" in err
    cache.write_text("#!/bin/sh\n")
    assert run("update")[0] == 1


def test_another_package_is_refused(run: Run, apt: Path, tmp_path: Path) -> None:
    status, _, err = run("update", package(tmp_path / "other.deb", "other"))
    assert (status, asked(apt)) == (2, [])
    assert "other.deb is not a package of airoxy" in err
    assert run("update", tmp_path / "none.deb")[0] == 2


def test_a_failure_of_apt_is_one(run: Run, apt: Path) -> None:
    (apt / "broken").touch()
    status, _, err = run("update")
    assert status == 1
    assert err == "airoxy: apt-get install ended with status 1; see above.\n"


@pytest.mark.parametrize("verb", ["update", "uninstall"])
def test_what_is_not_a_package_says_so(run: Run, apt: Path, verb: str) -> None:
    (apt / "version").unlink()
    status, _, err = run(verb)
    assert (status, asked(apt)) == (1, [])
    assert "is not installed as a Debian package here" in err


@pytest.mark.parametrize("verb", ["update", "uninstall"])
def test_who_is_not_root_is_told_to_use_sudo(
    run: Run, apt: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    status, _, err = run(verb)
    assert (status, asked(apt)) == (1, [])
    assert err == f"airoxy: Only root may do that: sudo airoxy {verb}\n"


def test_uninstall_asks_and_keeps_the_data(
    run: Run, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")
    status, out, _ = run("uninstall")
    assert (status, asked(apt)) == (0, ["remove --yes airoxy"])
    assert "Its configuration and its database stay." in out


def test_purge_says_what_is_lost(run: Run, apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "yes\n")
    status, out, _ = run("uninstall", "--purge")
    assert (status, asked(apt)) == (0, ["purge --yes airoxy"])
    assert "every key, every token and the whole usage log" in out


def test_purge_says_that_a_database_elsewhere_stays(
    run: Run, apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, config = tmp_path / "airoxy.db", tmp_path / "airoxy.yaml"
    database.touch()
    config.write_text(f"database: {database}\n")
    monkeypatch.setenv("AIROXY_CONFIG", str(config))
    _, out, _ = run("uninstall", "--purge", "--yes")
    assert out.endswith(f"But {database} is not the package's to delete: remove it yourself.\n")
    _, out, _ = run("uninstall", "--yes")
    assert str(database) not in out


@pytest.mark.parametrize("said", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_removed(
    run: Run, apt: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    answer(monkeypatch, said)
    status, out, _ = run("uninstall")
    assert (status, asked(apt)) == (1, [])
    assert out.endswith("Nothing has been removed.\n")


def test_a_script_must_say_yes(run: Run, apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert run("uninstall")[0] == 2
    assert asked(apt) == []
    assert run("uninstall", "--yes")[0] == 0
    assert asked(apt) == ["remove --yes airoxy"]


def answer(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Somebody sits at a terminal and says this."""
    terminal = io.StringIO(said)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
