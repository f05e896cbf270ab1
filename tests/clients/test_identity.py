"""Who Anthropic's own programs say they are: the same as with a login of their own."""

from __future__ import annotations

import pytest

from tests.clients.programs import CLAUDE, PYTHON, Home
from tests.fake_anthropic import Seen

pytestmark = pytest.mark.clients

ACCESS, REFRESH = "sk-ant-oat-test-own", "sk-ant-ort-test-own"
AGENT_PY = """
import asyncio
from claude_agent_sdk import ClaudeAgentOptions, query

async def main():
    async for message in query(prompt="Hello", options=ClaudeAgentOptions(max_turns=1)):
        pass

asyncio.run(main())
"""
AGENT_MJS = """
import { query } from "@anthropic-ai/claude-agent-sdk";
for await (const message of query({ prompt: "Hello", options: { maxTurns: 1 } })) {}
"""


def is_answered(asked: list[Seen]) -> bool:
    """Who leaves before gets no answer."""
    return bool(asked) and all(seen.answered_at for seen in asked)


PROGRAMS = {
    "claude -p": lambda home, _: home.run(CLAUDE, "-p", "Hello"),
    "claude -p --append-system-prompt": lambda home, _: home.run(
        CLAUDE, "-p", "Hello", "--append-system-prompt", "Be terse."
    ),
    "claude": lambda home, upstream: home.type(
        CLAUDE, typed=["Hello", "\r"], until=lambda: is_answered(upstream.messages)
    ),
    "Agent SDK for Python": lambda home, _: home.run(PYTHON, "agent.py", program=AGENT_PY),
    "Agent SDK for TypeScript": lambda home, _: home.run("node", "agent.mjs", program=AGENT_MJS),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_system_prompt_is_that_of_a_login_of_its_own(program, airoxy, upstream, tmp_path):
    airoxy.token(ACCESS, REFRESH)

    def said(url: str, credential: dict[str, str]) -> list[object]:
        """The system prompts of a run."""
        upstream.clear()
        program(Home(tmp_path / "home", url, credential), upstream)
        seen = [upstream.wait_answered(each) and each for each in upstream.messages]
        assert {(each.token, each.status) for each in seen} == {(ACCESS, 200)}
        return [each.json().get("system") for each in seen]

    own = said(upstream.url, {"CLAUDE_CODE_OAUTH_TOKEN": ACCESS})
    assert own
    # With a key they cache for five minutes unless they are told to do as with a login.
    key = {"ANTHROPIC_AUTH_TOKEN": airoxy.key(), "ENABLE_PROMPT_CACHING_1H": "1"}
    assert said(airoxy.url, key) == own
