"""The systemd generator never fails a boot; it says what is wrong in a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.generator.drop_ins import (
    SCRIPT,
    SOCKET,
    Generate,
    settings,
)


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ("host: 127.0.0.1\nport: http\n", "F:2: port: http is not a whole number"),
        ("port: 3801\nhost: proxy.example\n", "F:2: host: proxy.example is not an IP address"),
        ("port: 3801\ntoken_refresh_interval: 1\n", "F:2: token_refresh_interval: 1 is out of"),
        ("port: 3801\nport: 3802\n", "F:2: port: stands here again"),
        ("port: 3801\n\tworkers: 2\n", "F:2: begins with a tab"),
        ("- port: 3801\n", "F:1: is not a list of settings"),
    ],
)
def test_a_mistake_in_what_concerns_the_units_leaves_them_all_at_the_defaults(
    generate: Generate, said: list[str], content: str, first: str
) -> None:
    assert generate(content) == {}
    (line,) = said
    assert line.startswith(first)
    assert line.endswith("socket and timer stay at their defaults; try: airoxy config check")


def test_a_mistake_elsewhere_leaves_the_socket_where_the_clients_look_for_it(
    generate: Generate, said: list[str]
) -> None:
    drop_ins = generate("port: 3801\nworkers: many\nprot: 1\n")
    assert "ListenStream=3801" in settings(drop_ins[SOCKET])
    (line,) = said
    assert line.startswith("F:2: workers: many is not a whole number")
    assert line.endswith("airoxy will not start so; try: airoxy config check")


def test_a_pipe_in_place_of_the_file_is_not_waited_for(
    generator: ModuleType, said: list[str], tmp_path: Path
) -> None:
    pipe = tmp_path / "airoxy.yaml"
    os.mkfifo(pipe)
    assert generator.main(["", str(tmp_path / "out")], pipe) == 0
    assert said == [f"{pipe}: is not a file; socket and timer stay at their defaults"]


def test_what_cannot_be_written_is_told_and_does_not_fail(
    generator: ModuleType, said: list[str], tmp_path: Path
) -> None:
    source = tmp_path / "airoxy.yaml"
    source.write_text("port: 3801")
    assert generator.main(["", str(source)], source) == 0  # a file where a directory should be
    assert generator.main([""], source) == 0
    assert [line.partition(":")[0] for line in said] == ["NotADirectoryError", "IndexError"]
    assert all("socket and timer stay at their defaults" in line for line in said)


def test_a_python_without_airoxy_is_told_and_does_not_fail(tmp_path: Path) -> None:
    source = tmp_path / "airoxy.yaml"
    source.write_text("port: 3801")
    code = f"""
import pathlib, runpy, sys
main = runpy.run_path({str(SCRIPT)!r})["main"]
main.__globals__["report"] = lambda text: print(text, file=sys.stderr)  # not this machine's journal
raise SystemExit(main(["", {str(tmp_path / "out")!r}], pathlib.Path({str(source)!r})))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert done.stderr.startswith("ModuleNotFoundError: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_script_runs_as_systemd_runs_it(tmp_path: Path) -> None:
    assert os.access(SCRIPT, os.X_OK)
    directories = [tmp_path / name for name in ("normal", "early", "late")]
    for directory in directories:
        directory.mkdir()
    done = subprocess.run([sys.executable, SCRIPT, *directories], capture_output=True, text=True)
    assert done.returncode == 0


def test_one_report_is_one_line(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records: list[str] = []
    monkeypatch.setattr(generator, "to_kernel_log", records.append)
    monkeypatch.setattr(generator, "socket", _without_journal())
    generator.report("one\nPRIORITY=0\n  two")
    assert capsys.readouterr().err == "airoxy-generator: one PRIORITY=0 two\n"
    assert records == [f"<28>airoxy-generator[{os.getpid()}]: one PRIORITY=0 two\n"]


def _without_journal() -> ModuleType:
    import socket

    class Missing(socket.socket):
        def sendto(self, *_: object) -> int:
            raise FileNotFoundError

    module = ModuleType("socket")
    module.__dict__.update(socket.__dict__, socket=Missing)
    return module
