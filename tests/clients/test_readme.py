"""The README's five minutes, typed as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from tests.program import ROOT

pytestmark = pytest.mark.clients


def blocks(language: str) -> list[str]:
    """The README's code blocks in this language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run(command: str, airoxy, key: str) -> str:
    text = command.replace("http://localhost:3800", airoxy.url).replace("ak-…", key)
    environ = {"PATH": os.environ["PATH"], "no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-euc", text], capture_output=True, text=True, timeout=60, env=environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_curl_gets_a_message(airoxy):
    airoxy.token("sk-ant-api-test-one")
    [command] = [block for block in blocks("sh") if "curl" in block and "/v1/messages" in block]
    assert json.loads(run(command, airoxy, airoxy.key()))["type"] == "message"


def test_the_readmes_python_gets_a_message(airoxy, monkeypatch, capsys):
    airoxy.token("sk-ant-api-test-one")
    [program] = blocks("python")
    text = program.replace("http://localhost:3800", airoxy.url).replace("ak-…", airoxy.key())
    names = {}
    exec(compile(text, "README.md", "exec"), names)
    names["client"].close()
    assert "fake Anthropic" in capsys.readouterr().out
