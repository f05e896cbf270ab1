"""The clients' guide, typed as it stands there: each block with our address and key for its own,
in a home directory that has nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.docs.guide import block, put
from tests.program import ROOT

pytestmark = pytest.mark.clients

GUIDE = "docs/clients-guide.md"
NODE = ROOT / ".venv/node/node_modules"
SAID = "Hello! This is the fake Anthropic speaking."
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}


@pytest.fixture
def home(tmp_path):
    """Where nothing of ours is set up."""
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    return home


@pytest.fixture
def key(airoxy):
    airoxy.token("sk-ant-api-test-one")
    return airoxy.key()


@pytest.fixture
def fill(airoxy, key):
    """A block with our address and our key in it."""
    return lambda text: put(text, {"http://localhost:3800": airoxy.url, "ak-…": key})


@pytest.fixture
def run(home):
    def run(*command, status=0, **environ):
        path = f"{NODE / '.bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL,
            env={"PATH": path, "HOME": str(home), "no_proxy": "*"} | QUIET | environ,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run


# Claude Code


def test_claude_with_the_key_in_the_environment(run, fill):
    assert run("bash", "-euc", fill(block(GUIDE, "sh", "claude -p"))) == f"{SAID}\n"


@pytest.mark.parametrize("having", ['"model": "opus"', "apiKeyHelper", "_SONNET_MODEL"])
def test_claude_with_the_key_in_its_settings(home, run, airoxy, key, upstream, having):
    settings = block(GUIDE, "json", having).replace("ak-…", key)
    settings = put(settings, {"http://localhost:3800": airoxy.url})
    (home / ".airoxy-key").write_text(key)
    (home / ".claude/settings.json").write_text(settings)
    assert run("claude", "-p", "Say hello") == f"{SAID}\n"
    wanted = {"opus": "opus", "sonnet": "sonnet-5-5"}.get(json.loads(settings).get("model"), "")
    assert wanted in upstream.messages[-1].json()["model"]


def shown(cause: str) -> str:
    """What the guide's table says that Claude Code shows."""
    [line] = [line for line in (ROOT / GUIDE).read_text().splitlines() if cause in line]
    return re.match(r"\| `([^`]+)` \|", line)[1]


def test_claude_without_a_key(run, airoxy):
    told = run("claude", "-p", "Hello", status=1, ANTHROPIC_BASE_URL=airoxy.url)
    assert shown("it has no key") in told


@pytest.mark.parametrize(
    ("cause", "path", "secret"),
    [
        ("the key is not one of airoxy's", "", "ak-" + "x" * 40),
        ("the address ends in `/v1`", "/v1", None),
        ("airoxy has no working upstream token", "", None),
        ("Anthropic's limits", "", None),
    ],
)
def test_what_claude_shows_when_something_is_wrong(run, airoxy, key, upstream, cause, path, secret):
    if "no working" in cause:
        airoxy.cli("token", "toggle", "1")
    if "limits" in cause:
        upstream.script(times=None).limit(retry_after=3600)
    environ = {"ANTHROPIC_BASE_URL": airoxy.url + path, "ANTHROPIC_AUTH_TOKEN": secret or key}
    assert shown(cause) in run("claude", "-p", "Hello", status=1, **environ)


def test_what_claude_shows_where_nobody_listens(run, airoxy, key):
    airoxy.stop()
    environ = {"ANTHROPIC_BASE_URL": airoxy.url, "ANTHROPIC_AUTH_TOKEN": key}
    assert shown("nothing listens") in run("claude", "-p", "Hello", status=1, **environ)


# curl


@pytest.fixture
def type_(run, fill):
    """Types a block of the guide after the one that sets the variables."""
    variables = fill(block(GUIDE, "sh", "ANTHROPIC_API_KEY=ak-…"))
    return lambda text: run("bash", "-euc", variables + text)


def test_curl_gets_a_message(type_):
    assert json.loads(type_(block(GUIDE, "sh", '"max_tokens": 100,\n')))["type"] == "message"


def test_curl_gets_a_stream(type_):
    told = type_(block(GUIDE, "sh", "curl -sSN"))
    assert told.startswith("event: message_start\n")
    assert "event: message_stop\n" in told


def test_curl_gets_the_models(type_):
    assert json.loads(type_(block(GUIDE, "sh", "/v1/models")))["data"]


def test_curl_gets_the_usage_of_its_key(type_):
    assert json.loads(type_(block(GUIDE, "sh", "/usage")))["state"] == "active"


def test_curl_sends_a_file(type_, home):
    (home / "report.pdf").write_bytes(b"%PDF-1.7")
    assert json.loads(type_(block(GUIDE, "sh", "/v1/files")))["size_bytes"] == 8


# Programs


@pytest.mark.parametrize(
    ("having", "said"),
    [
        ("client.messages.stream", f"{SAID}\n{SAID}"),
        ("batches.create", "first succeeded\n"),
        ("langchain_anthropic", f"{SAID}\n"),
        ("pydantic_ai", f"{SAID}\n"),
        ("from openai", f"{SAID}\n"),
        ("claude_agent_sdk", f"{SAID}\n"),
        ("x-airoxy-session", f"{SAID}\n"),
    ],
)
def test_a_python_program(home, run, fill, having, said):
    if having in ("langchain_anthropic", "pydantic_ai", "claude_agent_sdk"):
        pytest.importorskip(having)
    (home / "program.py").write_text(fill(block(GUIDE, "python", having)))
    assert run(shutil.which("python3", path=str(ROOT / ".venv/newest/bin")), "program.py") == said


@pytest.mark.parametrize(
    ("having", "said"),
    [
        ("@anthropic-ai/sdk", SAID),
        ("@ai-sdk/anthropic", SAID),
        ('from "openai"', f"{SAID}\n"),
        ("@anthropic-ai/claude-agent-sdk", f"{SAID}\n"),
    ],
)
def test_a_typescript_program(home, run, fill, having, said):
    (home / "node_modules").symlink_to(NODE)
    (home / "program.mjs").write_text(fill(block(GUIDE, "typescript", having)))
    told = run("node", "program.mjs", AI_SDK_LOG_WARNINGS="false")
    assert told.endswith(said)
