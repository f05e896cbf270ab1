"""Claude Code, unmodified, from its npm package: settings in its environment, nothing else."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.program import ROOT

pytestmark = pytest.mark.clients

CLAUDE = ROOT / ".venv/node/node_modules/.bin/claude"
ONE, TWO = "sk-ant-api-test-one", "sk-ant-api-test-two"
SUBSCRIPTION = ("sk-ant-oat-test-three", "sk-ant-ort-test-three")


@pytest.fixture
def claude(airoxy, tmp_path):
    """Runs `claude -p PROMPT …` in a home of its own; gives the JSON it prints at the end."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "ANTHROPIC_BASE_URL": airoxy.url,
        "ANTHROPIC_MODEL": "claude-opus-5-5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
    }

    def claude(prompt, *arguments, **credential):
        given = credential or {"ANTHROPIC_AUTH_TOKEN": airoxy.key()}
        done = subprocess.run(
            [CLAUDE, "-p", prompt, "--output-format", "json", *arguments],
            cwd=work, env=environ | given, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    claude.work = work
    return claude


def with_tools(seen):
    return b'"name":"Bash"' in seen.body


def test_a_conversation_with_tools_over_several_turns(claude, airoxy, upstream):
    airoxy.token(ONE)
    (claude.work / "note.txt").write_text("the note says: forty-two\n")
    turns = upstream.script(path="/v1/messages", when=with_tools)
    turns.tool_use("Bash", {"command": "echo count-$((40 + 2))", "description": "Count"})
    turns.tool_use("Read", {"file_path": str(claude.work / "note.txt")}, text="And the note:")
    turns.message("It is 42.")
    told = claude("What is it?", "--allowedTools", "Bash,Read")
    assert (told["result"], told["num_turns"], told["is_error"]) == ("It is 42.", 3, False)

    bodies = [s.body for s in upstream.messages if with_tools(s)]
    assert b"count-42" not in bodies[0]
    assert b"count-42" in bodies[1]
    assert b"forty-two" in bodies[2]
    assert {s.query for s in upstream.messages} == {"beta=true"}
    rows = airoxy.wait_logs(len(upstream.messages))
    assert len(rows) == len(upstream.messages)
    assert {(row["ending"], row["status_code"]) for row in rows} == {("complete", 200)}
    assert sum(row["output_tokens"] for row in rows) == 12 * len(rows)
    cost = airoxy.json("stats")["cost_nanousd"]
    assert cost == sum(row["cost_nanousd"] for row in rows) > 0


@pytest.mark.parametrize("name", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_either_setting_for_the_key(claude, airoxy, upstream, name):
    airoxy.token(ONE)
    assert claude("Hello", **{name: airoxy.key()})["is_error"] is False
    assert set(upstream.tokens) == {ONE}


def test_a_subscriptions_token_serves_it(claude, airoxy, upstream):
    airoxy.token(*SUBSCRIPTION)
    assert claude("Hello")["is_error"] is False
    assert set(upstream.tokens) == {SUBSCRIPTION[0]}


def test_one_conversation_stays_with_one_token_until_that_is_limited(claude, airoxy, upstream):
    airoxy.token(ONE)
    airoxy.token(TWO)
    turns = upstream.script(path="/v1/messages", when=with_tools)
    for word in ("one", "two"):
        turns.tool_use("Bash", {"command": f"echo {word}", "description": word})
    turns.limit(retry_after=60)
    assert claude("Hello", "--allowedTools", "Bash")["is_error"] is False
    used = [s.token for s in upstream.messages if with_tools(s)]
    assert used[0] == used[1] == used[2] != used[3]
    assert len(used) == 4
