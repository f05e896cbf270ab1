"""The completions are those that the parser makes, and bash offers what they say."""

import runpy
import subprocess
from pathlib import Path

import pytest

COMPLETION = Path(__file__).parents[1] / "etc" / "completion"
GENERATOR = runpy.run_path(str(COMPLETION / "generate.py"))


@pytest.mark.parametrize("place", GENERATOR["PLACES"])
def test_the_completion_is_up_to_date(place: str, tmp_path: Path) -> None:
    GENERATOR["write"](tmp_path)
    told = "run etc/completion/generate.py"
    assert (COMPLETION / place).read_text() == (tmp_path / place).read_text(), told


def offered(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    script = """
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _airoxy
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "-c", script, "bash", str(COMPLETION / "bash" / "airoxy"), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_groups_and_their_commands_are_offered() -> None:
    assert offered("airoxy", "tok") == ["token"]
    assert "add" in offered("airoxy", "token", "")


def test_a_command_is_found_behind_options() -> None:
    assert offered("airoxy", "--config", "x.yaml", "token", "li") == ["list"]


def test_options_of_the_command_are_offered() -> None:
    assert offered("airoxy", "token", "add", "--na") == ["--name"]


def test_a_file_is_offered_where_a_file_belongs(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    assert offered("airoxy", "--config", f"{tmp_path}/mi") == [f"{tmp_path}/mine.yaml"]


def test_nothing_is_offered_where_anything_may_stand() -> None:
    assert offered("airoxy", "token", "add", "--name", "") == []
