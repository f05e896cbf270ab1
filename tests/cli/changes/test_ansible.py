"""The example's role for Ansible, run by the distribution's ansible-core."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.program import PYTHON, ROOT, Airoxy, environment, need

EXAMPLE = ROOT / "etc/ansible"


class Played:
    """What a run has said of its only host."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, done.stdout + done.stderr
        self.output = done.stdout
        self.changed = int(
            re.findall(r"^localhost .* changed=(\d+) ", done.stdout, re.MULTILINE)[0]
        )


@pytest.fixture
def play(install, tmp_path: Path) -> Callable[..., Played]:
    playbook, airoxy = need("ansible-playbook"), install()

    def play(*options: str, **variables: Any) -> Played:
        given = {
            "ansible_become": False,
            "airoxy_command": [PYTHON, "-m", "airoxy", "--config", str(airoxy.config)],
            "airoxy_secrets_file": str(tmp_path / "secrets.yaml"),
            **variables,
        }
        return Played(
            subprocess.run(
                [playbook, "-i", "localhost,", "-c", "local", "-e", json.dumps(given), *options,
                 str(EXAMPLE / "site.yml")],
                env=environment() | {
                    "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "false",
                    "ANSIBLE_HOME": str(tmp_path / "ansible"), "LC_ALL": "C.UTF-8",
                    "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
                },
                cwd=tmp_path, capture_output=True, text=True,
            )
        )  # fmt: skip

    play.airoxy = airoxy  # type: ignore[attr-defined]
    return play


def names(airoxy: Airoxy) -> set[str]:
    return {key["name"] for key in airoxy.json("api-key", "list")}


def test_the_second_run_changes_nothing_and_a_check_tells_what_would(play, tmp_path) -> None:
    assert play("--check").changed == 1
    assert names(play.airoxy) == set()
    first = play()
    assert first.changed == 1
    secrets = tmp_path / "secrets.yaml"
    made = yaml.safe_load(secrets.read_text())
    assert set(made) == names(play.airoxy) == {"research/alice", "research/ci"}
    assert os.stat(secrets).st_mode & 0o777 == 0o600
    assert not any(key in first.output for key in made.values())
    assert play().changed == 0
    assert play("--check").changed == 0


def test_what_is_not_declared_is_removed_where_that_is_wanted(play) -> None:
    play.airoxy.key("other")
    play(airoxy_groups=None, airoxy_keys={"research/ci": {}})
    assert names(play.airoxy) == {"other", "research/ci"}
    assert play(airoxy_groups=None, airoxy_keys={"research/ci": {}}, airoxy_prune=True).changed == 1
    assert names(play.airoxy) == {"research/ci"}
