"""Anthropic's Python SDK, unmodified: another base URL and another key, and nothing else."""

from __future__ import annotations

import hashlib
import random

import pytest

pytestmark = pytest.mark.clients

ONE, TWO = "sk-ant-api-test-one", "sk-ant-api-test-two"
HELLO = {
    "model": "claude-opus-5-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello"}],
}
#: 25 input tokens at 4 and 12 output tokens at 20 dollars a million.
COST = 25 * 4000 + 12 * 20000


@pytest.fixture
def sdk(airoxy, monkeypatch):
    """Makes a client: `sdk()` with a new key, or `sdk(auth_token=…)`."""
    import anthropic

    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    airoxy.token(ONE)
    made = []

    def sdk(**credential):
        given = credential or {"api_key": airoxy.key()}
        made.append(anthropic.Anthropic(base_url=airoxy.url, timeout=20, **given))
        return made[-1]

    yield sdk
    for client in made:
        client.close()


def test_a_message(sdk, airoxy, upstream):
    answer = sdk().messages.create(**HELLO)
    assert answer.content[0].text == "Hello! This is the fake Anthropic speaking."
    assert answer._request_id.startswith("req_")
    assert upstream.tokens == [ONE]
    [row] = airoxy.wait_logs(1)
    assert row["cost_nanousd"] == COST
    assert (row["input_tokens"], row["output_tokens"], row["is_stream"]) == (25, 12, False)
    assert (row["status_code"], row["ending"]) == (200, "complete")
    assert row["request_id"] == answer._request_id


def test_a_stream(sdk, airoxy):
    with sdk().messages.stream(**HELLO) as stream:
        text = "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens == 12
    assert text == "Hello! This is the fake Anthropic speaking."
    [row] = airoxy.wait_logs(1)
    assert (row["is_stream"], row["ending"], row["cost_nanousd"]) == (True, "complete", COST)


def test_a_stream_arrives_event_by_event(sdk, upstream):
    pace = upstream.script().paced()
    with sdk().messages.create(**HELLO, stream=True) as stream:
        kinds = []
        for count in (1, 1, 2, 1):  # the ping between is not shown
            pace.release(count)
            kinds.append(next(stream).type)
        assert kinds == ["message_start", "content_block_start"] + ["content_block_delta"] * 2
        pace.open()
        assert [event.type for event in stream][-1] == "message_stop"


def test_a_client_that_leaves_a_stream_ends_it_upstream(sdk, airoxy, upstream):
    pace = upstream.script().paced()
    with sdk().messages.create(**HELLO, stream=True) as stream:
        pace.release(3)
        next(stream)
    upstream.wait_gone(pace.wait_arrived())
    [row] = airoxy.wait_logs(1)
    assert row["ending"] == "client_left"


@pytest.mark.parametrize("kind", ["api_key", "auth_token"])
def test_either_kind_of_credential(sdk, airoxy, upstream, kind):
    sdk(**{kind: airoxy.key()}).messages.create(**HELLO)
    [seen] = upstream.requests
    assert (seen.all("x-api-key"), seen.all("authorization")) == ([ONE], [])


def test_a_key_that_is_none_of_ours(sdk):
    import anthropic

    with pytest.raises(anthropic.AuthenticationError, match="Invalid API key"):
        sdk(api_key="ak-nobody").messages.create(**HELLO)


def test_counting_tokens_and_listing_models(sdk, airoxy):
    client = sdk()
    asked = {k: v for k, v in HELLO.items() if k != "max_tokens"}
    assert client.messages.count_tokens(**asked).input_tokens == 25
    assert client.models.list(limit=1000).data[0].display_name == "Claude Opus 5.5"
    assert client.models.retrieve("claude-opus-5-5").id == "claude-opus-5-5"
    rows = airoxy.wait_logs(3)
    assert {row["cost_nanousd"] for row in rows} == {0}


def test_a_tool_in_two_turns(sdk, upstream):
    client = sdk()
    upstream.script().tool_use("add", {"a": 40, "b": 2}, text="Let me see.")
    tool = {"name": "add", "input_schema": {"type": "object"}}
    asked = HELLO | {"tools": [tool]}
    with client.messages.stream(**asked) as stream:
        first = stream.get_final_message()
    call = first.content[1]
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "add", {"a": 40, "b": 2})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "42"}
    turns = [
        *HELLO["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    assert client.messages.create(**asked | {"messages": turns}).stop_reason == "end_turn"


def test_a_batch_stays_with_its_token(sdk, airoxy, upstream):
    airoxy.token(TWO)
    client = sdk()
    batches = client.messages.batches
    batch = batches.create(requests=[{"custom_id": str(n), "params": HELLO} for n in range(3)])
    for _ in range(3):
        assert batches.retrieve(batch.id).processing_status == "ended"
    results = list(batches.results(batch.id))  # at the address that the batch names
    assert [each.result.message.usage.output_tokens for each in results] == [12] * 3
    assert batches.cancel(batch.id).processing_status == "canceling"
    assert batches.delete(batch.id).id == batch.id
    assert len(set(upstream.tokens)) == 1
    costs = [row["cost_nanousd"] for row in airoxy.wait_logs(7)]
    assert sum(costs) == max(costs) == 3 * COST // 2


def test_a_large_file_there_and_back(sdk, airoxy, upstream, tmp_path):
    airoxy.token(TWO)
    content = random.Random(1).randbytes(50_000_000)
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    files = sdk().files
    with path.open("rb") as file:
        made = files.upload(file=file)
    assert made.size_bytes == len(content)
    for _ in range(2):
        assert files.retrieve_metadata(made.id).filename == "large.bin"
    back = files.download(made.id).read()
    assert hashlib.sha256(back).digest() == hashlib.sha256(content).digest()
    assert files.delete(made.id).id == made.id
    assert len(set(upstream.tokens)) == 1
    rows = airoxy.wait_logs(5)
    assert {(row["status_code"], row["ending"]) for row in rows} == {(200, "complete")}


def test_the_sdk_retries_what_no_token_could_answer(sdk, airoxy, upstream):
    upstream.script().hang_up().overloaded()
    assert sdk().messages.create(**HELLO).usage.output_tokens == 12
    rows = airoxy.wait_logs(3)
    assert sorted(row["status_code"] for row in rows) == [200, 502, 529]


def test_the_sdk_waits_until_the_limit_is_over(sdk, airoxy, upstream):
    upstream.script().limit(retry_after=1)
    assert sdk().messages.create(**HELLO).usage.output_tokens == 12
    assert len(upstream.messages) == 2


def test_a_limit_on_one_token_does_not_reach_the_client(sdk, airoxy, upstream):
    airoxy.token(TWO)
    upstream.script(token=ONE).limit(retry_after=30)
    upstream.script(token=ONE).limit(retry_after=30)
    client = sdk()
    client.messages.create(**HELLO)
    client.messages.create(**HELLO)
    assert upstream.tokens == [ONE, TWO, TWO]
    assert max(row["attempts"] for row in airoxy.wait_logs(2)) == 2


def test_an_error_keeps_its_words(sdk, upstream):
    import anthropic

    upstream.script().status(400, "max_tokens: 50 > 49, which is the maximum")
    with pytest.raises(anthropic.BadRequestError, match="50 > 49") as raised:
        sdk().messages.create(**HELLO)
    assert raised.value.request_id.startswith("req_")
