"""`airoxy start`, `stop`, `restart`, `reload` and `status`: thin over systemctl."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airoxy.cli import main
from airoxy.cli.system import generated, system
from airoxy.views.json_documents import document_of
from tests.cli.fake_systemd import FakeSystemd
from tests.cli.printed import unlike
from tests.ports import free_port
from tests.program import Airoxy

Run = Callable[..., tuple[int, str, str]]
BOTH = "airoxy.socket airoxy.service"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "airoxy.yaml"
    file.write_text("{}\n")
    return file


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(["--config", str(config), *words])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where systemd listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: socket.socket) -> FakeSystemd:
    listen = f"127.0.0.1:{door.getsockname()[1]} (Stream)"
    return FakeSystemd(tmp_path / "systemd", monkeypatch, listen)


def test_start_starts_both_and_says_where_it_listens(
    run: Run, systemd: FakeSystemd, door: socket.socket
) -> None:
    status, out, _ = run("start")
    assert (status, systemd.commands) == (0, [f"start {BOTH}"])
    assert out == f"airoxy runs and listens on 127.0.0.1:{door.getsockname()[1]}.\n"


def test_stop_stops_both(run: Run, systemd: FakeSystemd) -> None:
    assert run("stop")[0] == 0
    assert systemd.commands == [f"stop {BOTH}"]


def test_restart_leaves_a_socket_that_listens_alone(run: Run, systemd: FakeSystemd) -> None:
    assert run("restart")[0] == 0
    assert systemd.commands == [
        "daemon-reload",
        "restart airoxy.service",
        "try-restart airoxy-console.socket",
    ]


def test_restart_restarts_a_socket_whose_addresses_changed(
    run: Run, systemd: FakeSystemd, door: socket.socket
) -> None:
    listen = f"127.0.0.1:{door.getsockname()[1]} (Stream)\n[::1]:{free_port()} (Stream)"
    systemd.change("airoxy.socket", Listen=listen)
    assert run("restart")[0] == 0
    assert systemd.commands == [
        "daemon-reload",
        f"restart {BOTH}",
        "try-restart airoxy-console.socket",
    ]


def test_reload_reloads_the_service(run: Run, systemd: FakeSystemd) -> None:
    assert run("reload")[0] == 0
    assert systemd.commands == ["reload airoxy.service", "try-restart airoxy-console.service"]


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the generator write other drop-ins for these units than systemd has read."""

    def change(*units: str) -> None:
        drop_in = 'mkdir "$1/{0}.d"; echo x > "$1/{0}.d/10-airoxy-yaml.conf"'
        generator = tmp_path / "generator"
        generator.write_text("\n".join(["#!/bin/sh", *map(drop_in.format, units)]))
        generator.chmod(0o755)
        monkeypatch.setattr(generated, "GENERATOR", generator)
        monkeypatch.setattr(generated, "GENERATED", tmp_path / "generated")

    return change


@pytest.mark.parametrize("more", [[], ["airoxy.service"]])
def test_reload_says_what_takes_a_restart(
    run: Run, systemd: FakeSystemd, change: Callable[..., None], more: list[str]
) -> None:
    change("airoxy.socket", *more)
    status, _, err = run("reload")
    assert (status, systemd.commands) == (
        0,
        ["reload airoxy.service", "try-restart airoxy-console.service"],
    )
    assert err == "For the change of host, port or interval: sudo airoxy restart\n"


@pytest.mark.parametrize(("verb", "of"), [("start", BOTH), ("reload", "airoxy.service")])
def test_systemd_sees_another_certificate_first(
    run: Run, systemd: FakeSystemd, change: Callable[..., None], verb: str, of: str
) -> None:
    change("airoxy.service")
    status, _, err = run(verb)
    assert (status, err) == (0, "")
    assert systemd.commands[:2] == ["daemon-reload", f"{verb} {of}"]


@pytest.mark.parametrize("verb", ["start", "restart", "reload"])
def test_a_configuration_with_mistakes_is_refused_with_all_of_them(
    run: Run, systemd: FakeSystemd, config: Path, verb: str
) -> None:
    config.write_text("prot: 1\nworkers: 0\n")
    status, _, err = run(verb)
    assert (status, systemd.commands) == (78, [])
    assert ":1: prot" in err
    assert ":2: workers" in err


def test_reload_of_what_does_not_run_says_so(run: Run, systemd: FakeSystemd) -> None:
    systemd.change("airoxy.service", ActiveState="inactive")
    status, _, err = run("reload")
    assert (status, systemd.commands) == (1, [])
    assert err == "airoxy: airoxy.service does not run; try: sudo airoxy start\n"


def test_what_systemctl_complains_of_is_told(run: Run, systemd: FakeSystemd) -> None:
    systemd.change("airoxy.service", refuses="start")
    status, out, err = run("start")
    assert (status, out) == (1, "")
    assert err == "airoxy: Job for airoxy.service failed. See journalctl.\n"


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload"])
def test_who_is_not_root_is_told_to_use_sudo(
    run: Run, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    status, _, err = run(verb)
    assert (status, systemd.commands) == (1, [])
    assert err == f"airoxy: Only root may do that: sudo airoxy {verb}\n"


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload", "status"])
def test_without_systemd_there_is_serve(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str
) -> None:
    monkeypatch.setattr(system, "BOOTED", tmp_path / "none")
    status, _, err = run(verb)
    assert status == 1
    assert "`airoxy serve` runs the server in the foreground" in err


# -- status


@pytest.fixture
def served(systemd: FakeSystemd, airoxy: Airoxy) -> FakeSystemd:
    """The units of an airoxy that really answers."""
    systemd.change("airoxy.socket", Listen=f"127.0.0.1:{airoxy.port} (Stream)")
    systemd.change("airoxy.service", MainPID="85", StatusText="1 of 1 workers, 0 open streams")
    return systemd


def test_status_shows_units_health_and_timers(
    run: Run, served: FakeSystemd, airoxy: Airoxy
) -> None:
    airoxy.token("sk-ant-api-test-one")
    served.change(
        "airoxy-tidy-log.service",
        Result="exit-code",
        ExecMainExitTimestamp="Sun 2026-11-22 01:00:00 UTC",
    )
    status, out, _ = run("status")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert (status, served.commands) == (0, [])
    assert lines["airoxy.socket"] == f"active (running) enabled 127.0.0.1:{airoxy.port}"
    assert lines["airoxy.service"].startswith("active (running) enabled since")
    assert lines["airoxy.service"].endswith("ago; 1 of 1 workers, 0 open streams")
    health = lines[f"http://127.0.0.1:{airoxy.port}/health"]
    assert health.startswith("ok version")
    assert health.endswith("1 token ready")
    assert "last never; next in" in lines["airoxy-refresh-tokens.timer"]
    assert "ago (exit-code); next in" in lines["airoxy-tidy-log.timer"]


def test_status_as_json_is_one_object(run: Run, served: FakeSystemd, airoxy: Airoxy) -> None:
    status, out, _ = run("status", "--json")
    shown = json.loads(out)
    assert status == 0
    assert unlike(document_of("status"), shown) == set()
    assert shown["socket"]["listen"] == [f"127.0.0.1:{airoxy.port}"]
    assert shown["service"]["state"] == "active"
    assert shown["service"]["pid"] == 85
    assert shown["service"]["since"] == "2026-11-22T11:00:00Z"
    assert shown["health"]["status"] == 503
    assert "token add" in shown["health"]["body"]["reason"]
    assert [timer["next_run"] for timer in shown["timers"]] == ["2026-11-22T18:00:00Z"] * 3


def test_status_of_what_is_stopped_starts_nothing(
    run: Run, systemd: FakeSystemd, door: socket.socket
) -> None:
    systemd.change("airoxy.service", ActiveState="inactive", SubState="dead")
    status, out, _ = run("status")
    assert status == 1
    assert "inactive (dead)" in out
    assert "/health" not in out
    door.setblocking(False)
    with pytest.raises(BlockingIOError):
        door.accept()


def test_status_tells_when_nobody_answers(run: Run, systemd: FakeSystemd) -> None:
    port = free_port()
    systemd.change("airoxy.socket", Listen=f"[::]:{port} (Stream)")
    status, out, _ = run("status")
    assert status == 1
    assert "no answer" in out
    assert "Connection refused" in out or "Cannot assign" in out


def test_status_needs_no_root(
    run: Run, served: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run("status")[0] == 0
