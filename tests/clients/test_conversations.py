"""A conversation of ten turns costs on four upstream tokens what it costs on one, with any client.

Its prompt cache, or its message thread, lives in one account.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.programs import PYTHON, Home
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

pytestmark = [
    pytest.mark.clients,
    # Some clients leave their connections to the garbage collector, which meets them in any test.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MODEL = "claude-opus-5-5"
TURNS = 10
#: Long enough for a turn to cost something, and the same in every run.
LONG = "word " * 400
SHORT_LIVED = {"type": "ephemeral"}

#: Talks to this address with this key, and may use the directory.
Client = Callable[[str, str, Path], None]


def anthropic_sdk(url: str, key: str, _: Path) -> None:
    import anthropic

    turns: list[dict[str, object]] = []
    with anthropic.Anthropic(base_url=url, api_key=key) as client:
        for number in range(TURNS):
            turns.append({"role": "user", "content": f"Question {number}: {LONG}"})
            answer = client.messages.create(
                model=MODEL, max_tokens=50, system=LONG, messages=turns, cache_control=SHORT_LIVED
            )
            turns.append({"role": "assistant", "content": answer.content[0].text})


def moving_breakpoint(url: str, key: str, _: Path) -> None:
    """As it was done before a request had one `cache_control` for all of it; streamed."""
    import anthropic

    turns: list[dict[str, object]] = []
    system = {"type": "text", "text": LONG, "cache_control": SHORT_LIVED | {"ttl": "1h"}}
    with anthropic.Anthropic(base_url=url, api_key=key) as client:
        for number in range(TURNS):
            text = {"type": "text", "text": f"Question {number}: {LONG}"}
            last = {"role": "user", "content": [text | {"cache_control": SHORT_LIVED}]}
            with client.messages.stream(
                model=MODEL, max_tokens=50, system=[system], messages=[*turns, last]
            ) as stream:
                answer = stream.get_final_message()
            turns += [
                {"role": "user", "content": [text]},
                {"role": "assistant", "content": answer.content[0].text},
            ]


def tool_runner(url: str, key: str, _: Path) -> None:
    """By message threads, which are its default."""
    import anthropic

    @anthropic.beta_tool
    def look(page: int) -> str:
        """Look at a page."""
        return f"{page}: {LONG}"

    asked = [{"role": "user", "content": LONG}]
    with anthropic.Anthropic(base_url=url, api_key=key) as client:
        client.beta.messages.tool_runner(
            model=MODEL, max_tokens=50, tools=[look], messages=asked
        ).until_done()


def langchain(url: str, key: str, _: Path) -> None:
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model=MODEL, base_url=url, api_key=key, max_tokens=50)
    turns: list[object] = [("system", LONG)]
    for number in range(TURNS):
        turns.append(("human", f"Question {number}: {LONG}"))
        turns.append(model.invoke(turns, cache_control=SHORT_LIVED))


def pydantic_ai(url: str, key: str, _: Path) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
    from pydantic_ai.providers.anthropic import AnthropicProvider

    settings = AnthropicModelSettings(
        max_tokens=50, anthropic_cache_messages=True, anthropic_cache_instructions=True
    )
    model = AnthropicModel(MODEL, provider=AnthropicProvider(base_url=url, api_key=key))
    agent = Agent(model, instructions=LONG, model_settings=settings)
    history: list[object] = []
    for number in range(TURNS):
        run = agent.run_sync(f"Question {number}: {LONG}", message_history=history)
        history = run.all_messages()


def litellm(url: str, key: str, _: Path) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the Internet
    import litellm

    turns: list[dict[str, str]] = [{"role": "system", "content": LONG}]
    for number in range(TURNS):
        turns.append({"role": "user", "content": f"Question {number}: {LONG}"})
        answer = litellm.completion(
            model=f"anthropic/{MODEL}", api_base=url, api_key=key, max_tokens=50, messages=turns,
            cache_control_injection_points=[{"location": "message", "index": -1}],
        )  # fmt: skip
        turns.append({"role": "assistant", "content": answer.choices[0].message.content})


def constants(declare: str) -> str:
    values = {"MODEL": MODEL, "LONG": LONG, "TURNS": TURNS}
    return "".join(f"{declare}{name} = {json.dumps(value)}\n" for name, value in values.items())


TYPESCRIPT_SDK = """
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic();
const messages = [];
for (let n = 0; n < TURNS; n++) {
  messages.push({ role: "user", content: `Question ${n}: ${LONG}` });
  const answer = await client.messages.create({
    model: MODEL, max_tokens: 50, system: LONG, messages, cache_control: { type: "ephemeral" },
  });
  messages.push({ role: "assistant", content: answer.content });
}
"""
AI_SDK = """
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText } from "ai";
const anthropic = createAnthropic({
  baseURL: process.env.ANTHROPIC_BASE_URL + "/v1", apiKey: process.env.ANTHROPIC_API_KEY,
});
const messages = [];
const providerOptions = { anthropic: { cacheControl: { type: "ephemeral" } } };
for (let n = 0; n < TURNS; n++) {
  const question = { role: "user", content: `Question ${n}: ${LONG}` };
  const { text } = await generateText({
    model: anthropic(MODEL), maxOutputTokens: 50,
    messages: [...messages, { ...question, providerOptions }],
  });
  messages.push(question, { role: "assistant", content: text });
}
"""
AGENT_SDK = """
import asyncio
from claude_agent_sdk import ClaudeSDKClient

async def main():
    async with ClaudeSDKClient() as client:
        for number in range(TURNS):
            await client.query(f"Question {number}: {LONG}")
            async for message in client.receive_response():
                pass

asyncio.run(main())
"""


def in_a_home(name: str, text: str, *command: object) -> Client:
    """A program in a process of its own."""

    def run(url: str, key: str, directory: Path) -> None:
        Home(directory, url, {"ANTHROPIC_API_KEY": key}).run(*command, name, program=text)

    return run


CLIENTS: dict[str, Client] = {
    "anthropic": anthropic_sdk,
    "anthropic, streams": moving_breakpoint,
    "anthropic, tool_runner": tool_runner,
    "langchain-anthropic": langchain,
    "pydantic-ai": pydantic_ai,
    "litellm": litellm,
    "claude-agent-sdk": in_a_home("agent.py", constants("") + AGENT_SDK, PYTHON),
    "@anthropic-ai/sdk": in_a_home("sdk.mjs", constants("const ") + TYPESCRIPT_SDK, "node"),
    "@ai-sdk/anthropic": in_a_home("ai.mjs", constants("const ") + AI_SDK, "node"),
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_what_a_conversation_costs_is_the_same_on_four_tokens(
    client: Client, install: Callable[[], Airoxy], upstream: FakeAnthropic, tmp_path: Path
) -> None:
    costs = []
    for count in (1, 4):
        airoxy = install().start()
        for number in range(count):
            airoxy.token(f"sk-ant-api-test-{count}-{number}")
        upstream.clear()
        upstream.keep_conversations()
        if client is tool_runner:
            for page in range(TURNS - 1):
                upstream.script(path="/v1/messages").tool_use("look", {"page": page})
        client(airoxy.url, airoxy.key(), tmp_path / "home")
        rows = airoxy.wait_logs(len(upstream.messages))
        assert len(rows) >= TURNS
        assert {row["status_code"] for row in rows} == {200}
        costs.append(sum(row["cost_nanousd"] for row in rows))
    assert costs[0] == costs[1] > 0
