"""The completions are those that the parser makes, and bash offers what they say."""

import os
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


def offered(*words: str, **environ: str) -> list[str]:
    """What bash offers for the last of these words."""
    script = """
        source "$1"; shift
        COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        _airoxy
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "-c", script, "bash", str(COMPLETION / "bash" / "airoxy"), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True,
                          env={**os.environ, **environ})  # fmt: skip
    return done.stdout.split()


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A PATH on which `airoxy complete KIND` gives two words."""
    (tmp_path / "airoxy").write_text('#!/bin/sh\n[ "$1" = complete ] && echo "$2-1 $2-2"\n')
    (tmp_path / "airoxy").chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("api-key set", "keys"), ("api-key remove", "keys"), ("token reset", "tokens"),
        ("token check", "tokens"), ("logs --key", "keys"), ("stats --token", "tokens"),
        ("stats --month", "months"), ("api-key add --models", "models"),
        ("console user set", "users"), ("console user remove", "users"),
        ("console user link", "users"), ("console token remove", "api-tokens"),
    ],
)  # fmt: skip
def test_names_models_and_months_are_offered(program: str, words: str, kind: str) -> None:
    assert {f"{kind}-1", f"{kind}-2"} <= set(offered("airoxy", *words.split(), "", PATH=program))
    assert offered("airoxy", *words.split(), f"{kind}-2", PATH=program) == [f"{kind}-2"]


def test_groups_and_their_commands_are_offered() -> None:
    assert offered("airoxy", "tok") == ["token"]
    assert "add" in offered("airoxy", "token", "")


def test_a_command_is_found_behind_options() -> None:
    assert offered("airoxy", "--config", "x.yaml", "token", "li") == ["list"]


def test_options_of_the_command_are_offered() -> None:
    assert offered("airoxy", "token", "add", "--na") == ["--name"]


def test_nothing_is_offered_where_anything_may_stand() -> None:
    assert offered("airoxy", "token", "add", "--name", "") == []


def test_no_name_that_is_taken_is_offered_for_a_new_user(program: str) -> None:
    assert "users-1" not in offered("airoxy", "console", "user", "add", "", PATH=program)
