"""Unmodified clients over TLS: they are told whom to trust, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.clients.test_claude_code import CLAUDE
from tests.clients.test_sdk import HELLO

pytestmark = pytest.mark.clients
TEXT = "Hello! This is the fake Anthropic speaking."


@pytest.fixture
def key(secured):
    secured.token("sk-ant-api-test-one")
    return secured.key()


def test_the_sdk_gets_a_message_and_a_stream(secured, key, authority, monkeypatch):
    import anthropic

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.directory / "ca.pem"))
    with anthropic.Anthropic(base_url=secured.url, api_key=key, timeout=20) as client:
        assert client.messages.create(**HELLO).content[0].text == TEXT
        with client.messages.stream(**HELLO) as stream:
            assert "".join(stream.text_stream) == TEXT


def test_the_sdk_refuses_who_it_does_not_trust(secured, key):
    import anthropic

    with anthropic.Anthropic(
        base_url=secured.url, api_key=key, timeout=20, max_retries=0
    ) as client:
        with pytest.raises(anthropic.APIConnectionError):
            client.messages.create(**HELLO)
    assert secured.errors == ""


def test_claude_code_holds_a_conversation(secured, key, authority, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "ANTHROPIC_BASE_URL": secured.url, "ANTHROPIC_AUTH_TOKEN": key,
        "ANTHROPIC_MODEL": "claude-opus-5-5", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1", "NODE_EXTRA_CA_CERTS": str(authority.directory / "ca.pem"),
    }  # fmt: skip
    done = subprocess.run(
        [CLAUDE, "-p", "Hello", "--output-format", "json"], cwd=home, env=environ,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"] == TEXT
