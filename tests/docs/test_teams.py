"""The page about several teams, typed from its beginning to its end."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.docs.guide import block, put, typed
from tests.program import PYTHON, ROOT, Airoxy

#: Draws on a terminal until it is told to end.
LIVE = "sudo airoxy top"


@pytest.fixture
def page(tmp_path: Path) -> list[str]:
    """The commands up to the file of keys, which is another test's."""
    commands = typed("teams", "several-teams")
    return commands[: commands.index("sudo airoxy export > keys.yaml")]


def type_it(airoxy: Airoxy, command: str, directory: Path) -> str:
    program = shlex.join([PYTHON, "-m", "airoxy", "--config", str(airoxy.config)])
    done = subprocess.run(
        f'export PYTHONPATH={ROOT}\nsudo() {{ shift; {program} "$@"; }}\n{command}',
        check=False, shell=True, cwd=directory, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout)
    return done.stdout


def test_every_command_of_the_page_works_after_the_ones_before_it(
    airoxy: Airoxy, page: list[str], tmp_path: Path
) -> None:
    airoxy.token("sk-ant-api-test-one", name="work")
    assert page.count(LIVE) == 1
    for command in page:
        if command != LIVE:
            type_it(airoxy, command, tmp_path)
    alice = airoxy.json("api-key", "show", "research/alice")
    assert (alice["pool"], alice["note"]) == ("research", "ticket 1234")
    assert (tmp_path / "october.csv").read_text()
    typed_off = [command for command in typed("teams", "when-somebody-leaves") if "ID" in command]
    for command in typed_off:
        type_it(airoxy, command.replace("ID", "research/alice") + yes(command), tmp_path)
    assert "research/alice" not in {row["name"] for row in airoxy.json("api-key", "list")}


def yes(command: str) -> str:
    return " --yes" if "remove" in command else ""


def test_the_file_of_keys_makes_what_is_in_it(airoxy: Airoxy, tmp_path: Path) -> None:
    commands = typed("teams", "keys-in-a-file")
    export, preview, apply = commands[:3]
    type_it(airoxy, export, tmp_path)
    (tmp_path / "keys.yaml").write_text(block("docs/teams.md", "yaml", "research/ci"))
    type_it(airoxy, preview, tmp_path)
    assert airoxy.json("api-key", "list") == []
    secrets = str(tmp_path / "new-keys.yaml")
    type_it(airoxy, put(apply, {"/root/new-keys.yaml": secrets}), tmp_path)
    keys = {row["name"]: row for row in airoxy.json("api-key", "list")}
    assert set(keys) == {"research/alice", "research/ci"}
    assert json.dumps(keys["research/ci"]).count("claude-haiku-*") == 1
    assert (tmp_path / "new-keys.yaml").stat().st_mode & 0o077 == 0
