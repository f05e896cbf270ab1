"""OpenAI's SDKs at Anthropic's endpoint in OpenAI's form: another base URL and another key."""

from __future__ import annotations

import pytest

from tests.clients.programs import Home

pytestmark = pytest.mark.clients

ONE = "sk-ant-api-test-one"
TEXT = "Hello! This is the fake Anthropic speaking."
HELLO = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Hello"}]}
#: 25 input tokens at 4 and 12 output tokens at 20 dollars a million.
COST = 25 * 4000 + 12 * 20000
NODE = """
import OpenAI from "openai";
const client = new OpenAI({
  baseURL: process.env.ANTHROPIC_BASE_URL + "/v1", apiKey: process.env.ANTHROPIC_API_KEY,
});
const asked = { model: "claude-opus-5-5", messages: [{ role: "user", content: "Hello" }] };
const whole = await client.chat.completions.create(asked);
console.log(whole.choices[0].message.content);
const stream = await client.chat.completions.create({ ...asked, stream: true });
let text = "";
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
console.log(text);
"""


@pytest.fixture
def key(airoxy) -> str:
    airoxy.token(ONE)
    return airoxy.key()


@pytest.fixture
def client(airoxy, key):
    import openai

    with openai.OpenAI(base_url=f"{airoxy.url}/v1", api_key=key, timeout=20) as client:
        yield client


def test_a_completion(client, airoxy, upstream):
    answer = client.chat.completions.create(**HELLO)
    assert answer.choices[0].message.content == TEXT
    [seen] = upstream.requests
    assert (seen.all("authorization"), seen.all("x-api-key")) == ([f"Bearer {ONE}"], [])
    [row] = airoxy.wait_logs(1)
    assert (row["input_tokens"], row["output_tokens"], row["cost_nanousd"]) == (25, 12, COST)


def test_a_stream_that_tells_its_usage(client, airoxy):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(**HELLO, stream=True, stream_options=options))
    said = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(said) == TEXT
    assert chunks[-1].usage.completion_tokens == 12
    [row] = airoxy.wait_logs(1)
    assert (row["is_stream"], row["cost_nanousd"], row["is_estimate"]) == (True, COST, False)


def test_an_error_is_understood(client, upstream):
    import openai

    upstream.script().status(400, "max_tokens: too many")
    with pytest.raises(openai.BadRequestError, match="too many"):
        client.chat.completions.create(**HELLO)
    with pytest.raises(openai.AuthenticationError, match="Invalid API key"):
        client.with_options(api_key="ak-nobody").chat.completions.create(**HELLO)


def test_the_sdk_for_typescript(airoxy, key, tmp_path):
    home = Home(tmp_path / "home", airoxy.url, {"ANTHROPIC_API_KEY": key})
    assert home.run("node", "openai.mjs", program=NODE) == f"{TEXT}\n{TEXT}\n"
