"""`airoxy config show` and `airoxy config check`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import airoxy.config
from airoxy.cli import main
from airoxy.config import SCHEMA

SHIPPED = Path(__file__).parents[2] / "etc" / "airoxy.yaml"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("AIROXY_CONFIG", raising=False)
    path = tmp_path / "airoxy.yaml"
    path.write_text(
        "port: 3801\n"
        "upstream:\n"
        "  url: http://127.0.0.1:9/\n"
        "pricing:\n"
        "- {model: claude-x, from: 2026-12-01, input: 1, write_5m: 1, write_1h: 1, read: 0.1,"
        " output: 1}\n"
    )
    return path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: object) -> tuple[int, str, str]:
        status = main([str(word) for word in argv])
        return status, *capsys.readouterr()

    return run


def test_show_tells_every_setting_with_its_value_and_where_it_comes_from(
    run: Run, file: Path
) -> None:
    status, out, err = run("--config", file, "config", "show")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert (status, err) == (0, "")
    assert list(rows) == ["SETTING", *(setting.key for setting in SCHEMA)]
    assert rows["port"] == f"3801 {file}:1"
    assert rows["upstream.url"] == f"http://127.0.0.1:9 {file}:3"
    assert rows["pricing"] == f"1 row {file}:4"
    assert rows["host"] == "null default"
    assert rows["upstream.read_timeout"] == "600 default"
    assert rows["database"] == "/var/lib/airoxy/airoxy.db default"


def test_show_json_is_the_configuration_in_the_shape_of_the_file(run: Run, file: Path) -> None:
    status, out, _ = run("--config", file, "config", "show", "--json")
    shown = json.loads(out)
    assert status == 0
    assert shown["port"] == 3801
    assert shown["host"] is None
    assert shown["upstream"]["url"] == "http://127.0.0.1:9"
    assert shown["upstream"]["read_timeout"] == 600
    assert shown["pricing"][0]["from"] == "2026-12-01"
    assert shown["pricing"][0]["read"] == 0.1
    assert {*shown, *(f"{k}.{n}" for k, v in shown.items() if isinstance(v, dict) for n in v)} >= {
        setting.key for setting in SCHEMA
    }


def test_show_does_not_show_a_configuration_with_mistakes(run: Run, file: Path) -> None:
    file.write_text("prot: 1\n")
    status, out, err = run("--config", file, "config", "show")
    assert (status, out) == (78, "")
    assert "did you mean port?" in err


def test_check_says_that_a_file_is_fine(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("config", "check", SHIPPED) == (0, f"{SHIPPED} is fine.\n", "")
    assert run("--config", file, "config", "check") == (0, f"{file} is fine.\n", "")
    monkeypatch.setenv("AIROXY_CONFIG", str(file))
    assert run("config", "check") == (0, f"{file} is fine.\n", "")


def test_check_names_every_mistake_on_a_line_of_its_own(run: Run, file: Path) -> None:
    file.write_text("prot: 1\nport: none\n\nworkers: 0\n")
    status, out, err = run("config", "check", file)
    assert (status, out) == (78, "")
    assert all(line.startswith("airoxy: ") for line in err.splitlines())
    said = [line.removeprefix("airoxy: ") for line in err.splitlines()]
    assert [line.partition(": ")[0] for line in said] == [f"{file}:{n}" for n in (1, 2, 4)]


def test_check_of_a_file_that_is_not_there_is_wrong_configuration(run: Run, tmp_path: Path) -> None:
    status, out, err = run("config", "check", tmp_path / "none.yaml")
    assert (status, out) == (78, "")
    assert err == f"airoxy: {tmp_path}/none.yaml: there is no such file; name one that exists\n"


def test_check_without_any_file_says_that_the_defaults_hold(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIROXY_CONFIG", raising=False)
    monkeypatch.setattr(airoxy.config, "DEFAULT_PATH", tmp_path / "none.yaml")
    status, out, _ = run("config", "check")
    assert status == 0
    assert out == "There is no /etc/airoxy/airoxy.yaml; everything is at its default.\n"


def test_the_older_spelling_works(run: Run, file: Path) -> None:
    assert run("--config", file, "config:check")[0] == 0
