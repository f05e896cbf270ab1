"""Faults of units, sockets and ports, as a systemd tells of them."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from airoxy.cli import installation
from airoxy.cli.doctor.finding import FAIL, FIXED, OK, WARN
from airoxy.cli.doctor.port import strangers
from airoxy.cli.system import generated
from airoxy.store.file.drill import disable_oauth
from airoxy.store.schema import open_database
from tests.cli.doctor.ward import Ward
from tests.cli.fake_systemd import FakeSystemd
from tests.ports import free_port
from tests.program import Airoxy


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where systemd listens, and so does this process, in its place."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def systemd(
    ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: socket.socket
) -> FakeSystemd:
    """The units of a package; the user of the service is who runs the tests."""
    port = door.getsockname()[1]
    ward.settings["port"] = port
    ward.configure()
    fake = FakeSystemd(tmp_path / "systemd", monkeypatch, f"127.0.0.1:{port} (Stream)")
    generator = tmp_path / "generator"
    generator.write_text("#!/bin/sh\ncp -r /dev/null/. $1 2>/dev/null; exit 0\n")
    generator.chmod(0o755)
    monkeypatch.setattr(installation, "DEFAULT_PATH", ward.config)
    monkeypatch.setattr(installation, "PACKAGED", ward.config)
    monkeypatch.setattr(generated, "GENERATOR", generator)
    monkeypatch.setattr(generated, "GENERATED", tmp_path / "generated")
    monkeypatch.setattr("airoxy.cli.doctor.port._is_ours", lambda _: True)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout
    for name in (
        "airoxy.service",
        "airoxy-console.service",
        "airoxy-tidy-log.service",
        "airoxy-refresh-tokens.service",
        "airoxy-notify.service",
    ):
        fake.change(name, User=user.strip(), ReadWritePaths=str(ward.database.parent))
    fake.change("airoxy.service", ActiveState="reloading")  # nobody answers at the door
    monkeypatch.setattr("airoxy.cli.system.health._TIMEOUT", 0.1)
    return fake


def test_healthy_units_are_left_alone(ward: Ward, systemd: FakeSystemd) -> None:
    assert ward.complaints(fix=True) == {}
    assert systemd.commands == []


UNITS = [
    ("socket", "airoxy.socket"),
    ("service", "airoxy.service"),
    ("timers", "airoxy-refresh-tokens.timer"),
    ("timers", "airoxy-tidy-log.timer"),
]


@pytest.mark.parametrize(("check", "name"), UNITS)
def test_a_masked_unit_is_unmasked_and_started(
    ward: Ward, systemd: FakeSystemd, check: str, name: str
) -> None:
    systemd.change(name, LoadState="masked", UnitFileState="masked", ActiveState="inactive")
    assert ward.complaints()[check].text == f"{name} is masked."
    assert ward.complaints(fix=True)[check].state == FIXED
    assert f"enable {name}" in systemd.commands
    assert systemd.state(name) == "active"


@pytest.mark.parametrize(("check", "name"), UNITS)
def test_a_disabled_unit_is_enabled_and_started(
    ward: Ward, systemd: FakeSystemd, check: str, name: str
) -> None:
    systemd.change(name, UnitFileState="disabled", ActiveState="inactive")
    assert "does not start at boot" in ward.complaints()[check].text
    assert ward.complaints(fix=True)[check].state == FIXED
    assert systemd.commands == [f"enable {name}", f"reset-failed {name}", f"start {name}"]


def test_the_timer_that_a_restore_drill_has_disabled_stays_so(
    ward: Ward, systemd: FakeSystemd
) -> None:
    with closing(open_database(ward.database)) as db:
        oauth = {"type": "oauth", "token": "sk-ant-oat-test", "refresh_token": "sk-ant-ort-test"}
        ward.token(db, "login", expires_at=int(ward.now) + 28800, **oauth)
        disable_oauth(db, ward.now)
    systemd.change("airoxy-refresh-tokens.timer", UnitFileState="disabled", ActiveState="inactive")
    found = ward.complaints(fix=True)["timers"]
    assert (found.state, "restore drill" in found.text) == (WARN, True)
    assert systemd.commands == []
    ward.sql("UPDATE tokens SET is_active = 1, inactive_reason = NULL")
    assert ward.complaints()["timers"].state == FAIL


@pytest.mark.parametrize(("check", "name"), UNITS)
def test_a_unit_that_does_not_run_is_started(
    ward: Ward, systemd: FakeSystemd, check: str, name: str
) -> None:
    systemd.change(name, ActiveState="failed", SubState="failed")
    assert ward.complaints()[check].text == f"{name} is failed (failed)."
    assert ward.complaints(fix=True)[check].state == FIXED
    assert f"start {name}" in systemd.commands


def test_a_unit_that_cannot_be_started_is_told_with_where_to_look(
    ward: Ward, systemd: FakeSystemd
) -> None:
    systemd.change("airoxy.service", ActiveState="failed", refuses="start")
    found = ward.complaints(fix=True)["service"]
    assert found.state == FAIL
    assert "journalctl -u airoxy.service" in found.remedy
    assert "Job for airoxy.service failed" in found.remedy


def test_a_unit_that_is_gone_is_told(ward: Ward, systemd: FakeSystemd) -> None:
    systemd.change("airoxy-tidy-log.timer", LoadState="not-found", UnitFileState="")
    found = ward.complaints()["timers"]
    assert "cannot be loaded (not-found)" in found.text
    assert "apt-get install --reinstall airoxy" in found.remedy


def test_a_job_that_failed_is_told(ward: Ward, systemd: FakeSystemd) -> None:
    ended = {"Result": "exit-code", "ExecMainExitTimestamp": "Sun 2026-11-22 01:00:00 UTC"}
    systemd.change("airoxy-refresh-tokens.service", **ended)
    found = ward.complaints()["timers"]
    assert (found.state, "ended badly" in found.text) == (FAIL, True)
    assert found.remedy == "journalctl -u airoxy-refresh-tokens.service says why."


def test_unit_files_that_systemd_has_not_read_are_read(ward: Ward, systemd: FakeSystemd) -> None:
    systemd.change("airoxy.service", NeedDaemonReload="yes")
    assert "not yet seen the changes of airoxy.service" in ward.complaints()["units"].text
    assert ward.complaints(fix=True)["units"].state == FIXED
    assert systemd.commands == ["daemon-reload"]


def test_a_configuration_that_systemd_has_not_read_is_read(
    ward: Ward, systemd: FakeSystemd, tmp_path: Path
) -> None:
    drop_in = tmp_path / "generated" / "airoxy.socket.d" / "10-airoxy-yaml.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("# From line 3\n[Socket]\nListenStream=3900\n")
    found = ward.complaints()["units"]
    assert (found.state, str(ward.config) in found.text) == (FAIL, True)
    ward.complaints(fix=True)
    assert systemd.commands == ["daemon-reload"]


def test_an_address_that_nobody_listens_on_is_taken_up(
    ward: Ward, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd.change("airoxy.socket", Listen=f"127.0.0.1:{free_port()} (Stream)")
    assert "Nobody listens on 127.0.0.1:" in ward.complaints()["addresses"].text
    ward.complaints(fix=True)
    assert systemd.commands == ["restart airoxy.socket airoxy.service"]


def test_another_program_on_the_port_is_named(
    ward: Ward, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch, door: socket.socket
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("airoxy.cli.system.system.BOOTED", ward.config)
    monkeypatch.setattr(installation, "DEFAULT_PATH", ward.config)
    monkeypatch.setattr(installation, "PACKAGED", ward.config)
    (found,) = strangers(ward.installation())
    assert found.state == FAIL
    assert f"(process {os.getpid()}), on 127.0.0.1." in found.text


def test_a_database_that_the_units_may_not_write_is_told(ward: Ward, systemd: FakeSystemd) -> None:
    systemd.change("airoxy-tidy-log.service", ReadWritePaths="")
    found = ward.complaints()["sandbox"]
    assert (found.state, "airoxy-tidy-log.service may not write" in found.text) == (FAIL, True)
    assert f"ReadWritePaths={ward.database.parent}" in found.remedy


def test_a_server_that_answers_is_asked_for_its_health(
    ward: Ward, systemd: FakeSystemd, airoxy: Airoxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airoxy.cli.system.health._TIMEOUT", 20)
    systemd.change("airoxy.socket", Listen=f"127.0.0.1:{airoxy.port} (Stream)")
    systemd.change("airoxy.service", ActiveState="active")
    health = {each.check: each for each in ward.examine()}["health"]
    assert (health.state, "no active access token" in health.text) == (WARN, True)
    airoxy.token("sk-ant-api-test-one")
    health = {each.check: each for each in ward.examine()}["health"]
    assert (health.state, "1 token ready" in health.text) == (OK, True)


def test_another_configuration_than_the_units_have_is_said_in_one_line(
    ward: Ward, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "DEFAULT_PATH", Path("/etc/airoxy/airoxy.yaml"))
    systemd.change("airoxy.service", LoadState="masked")
    found = {each.check: each for each in ward.examine()}
    assert f"no units for {ward.config}" in found["units"].text
    assert {"socket", "service", "timers", "port", "addresses"}.isdisjoint(found)
