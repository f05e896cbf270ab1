"""The models that a key is for, and until when it is worth something."""

from __future__ import annotations

import contextlib
import time

import pytest

from airoxy.server.proxy.proxy import SNAPSHOT_TTL
from airoxy.store.schema import open_database, run
from tests.conftest import NOON
from tests.program import Airoxy, Answer
from tests.server.limits.asking import OPUS, ask, limited, set_

HAIKU = "claude-haiku-4-5"


def test_other_models_are_forbidden(airoxy, upstream):
    key = limited(airoxy, "--models", "claude-haiku-*,claude-sonnet-5")
    assert ask(airoxy, key, model=HAIKU).status == 200
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = ask(airoxy, key, path=path)
        assert answer.status == 403
        assert answer.json()["error"] == {
            "type": "permission_error",
            "message": "This API key may not use the model claude-opus-5-5; it may use"
            " claude-haiku-*, claude-sonnet-5.",
        }
    assert airoxy.request("GET", "/v1/models", key=key).status == 200
    assert len(upstream.messages) == 1
    rows = airoxy.wait_logs(4)
    assert sorted(row["status_code"] for row in rows) == [200, 200, 403, 403]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"claude-opus-5-5","model":"claude-haiku-4-5"}',
        b'{"model":"claude-haiku-4-5","mod\\u0065l":"claude-opus-5-5"}',
        b'{"model":"claude-haiku-4-5","x":"' + b"x" * 9000 + b'","mod\\u0065l":"claude-opus-5-5"}',
        b'{"model":["claude-haiku-4-5"]}',
        b'{"max_tokens":1}',
        b"\x1f\x8b compressed, perhaps",
    ],
    ids=["twice", "escaped", "large", "list", "none", "compressed"],
)
def test_what_might_be_another_model_is_forbidden(airoxy, upstream, body):
    key = limited(airoxy, "--models", "claude-haiku-*")
    answer = airoxy.request("POST", "/v1/messages", body, key=key)
    assert (answer.status, answer.json()["error"]["type"]) == (403, "permission_error")
    assert not upstream.requests


ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": OPUS}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [ADVISOR]},
        {"tools": [{"name": "x", "description": "x" * 100_000}, ADVISOR]},
        {"fallbacks": [{"model": OPUS}]},
        {"fallbacks": "default"},
        {"later": {"deep": [{"model": OPUS}]}},
    ],
    ids=lambda fields: str(fields)[:30],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_model_that_may_answer_beside_the_one_that_is_asked_is_forbidden(
    served, fake, fields, path
):
    fake.clear()
    key = limited(served, "--models", "claude-haiku-*")
    answer = ask(served, key, model=HAIKU, path=path, **fields)
    assert (answer.status, answer.json()["error"]["type"]) == (403, "permission_error")
    assert not fake.requests
    both = limited(served, "--models", f"claude-haiku-*,{OPUS}")
    wanted = 403 if fields.get("fallbacks") == "default" else 200
    assert ask(served, both, model=HAIKU, path=path, **fields).status == wanted
    assert ask(served, limited(served), model=HAIKU, path=path, **fields).status == 200


def test_what_tools_and_texts_call_a_model_is_nobodys_concern(served):
    key = limited(served, "--models", "claude-haiku-*")
    said = [{"role": "user", "content": [{"type": "text", "text": '{"model":"gpt"}'}]}]
    schema = {"type": "object", "properties": {"model": {"type": "string", "default": OPUS}}}
    tool = {"name": "order", "input_schema": schema, "input_examples": [{"model": OPUS}]}
    assert ask(served, key, model=HAIKU, messages=said, tools=[tool]).status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_chat_completions_are_held_to_the_models_as_messages_are(served, fake, path):
    fake.clear()
    fake.script(path="/v1/chat/completions", times=None).json({"choices": []})
    key = limited(served, "--models", "claude-haiku-*")
    assert ask(served, key, model=HAIKU, path=path).status == 200
    assert ask(served, key, model=OPUS, path=path).status == 403
    assert served.request("POST", path, b'{"messages":[]}', key=key).status == 403


@pytest.mark.parametrize(
    "fallbacks", ["default", [{"model": OPUS}], [OPUS], [{"model": HAIKU}, OPUS]]
)
def test_a_batch_with_fallbacks_to_another_model_is_forbidden(served, fallbacks):
    key = limited(served, "--models", "claude-haiku-*")
    params = {"model": HAIKU, "max_tokens": 5, "messages": [], "fallbacks": fallbacks}
    batch = {"requests": [{"custom_id": "1", "params": params}]}
    assert served.request("POST", "/v1/messages/batches", batch, key=key).status == 403


@pytest.mark.parametrize("size", [100, 300_000, 6_000_000])
def test_a_batch_with_another_model_is_forbidden(airoxy, upstream, size):
    key = limited(airoxy, "--models", "claude-haiku-*")

    def batch(last: str) -> Answer:
        asked = [
            {"custom_id": str(n), "params": {"model": model, "max_tokens": 5, "pad": "x" * size}}
            for n, model in enumerate([HAIKU, last])
        ]
        return airoxy.request("POST", "/v1/messages/batches", {"requests": asked}, key=key)

    assert batch(HAIKU).status == 200
    answer = batch(OPUS)
    assert answer.status == 403, answer
    assert "claude-opus-5-5" in answer.json()["error"]["message"]
    made = airoxy.request("GET", "/v1/messages/batches", key=key).json()["data"]
    assert len(made) == 1


def test_an_expired_key_says_so(airoxy):
    key = limited(airoxy, "--expires", "2099-12-31")
    other = airoxy.key()
    assert ask(airoxy, key).status == 200
    expire(airoxy, int(NOON))
    answer = ask(airoxy, key)
    assert (answer.status, answer.json()["error"]["type"]) == (401, "authentication_error")
    told = "This API key expired at 2026-11-22 12:00 UTC"
    assert answer.json()["error"]["message"] == told
    # One valid key is enough.
    both = {"x-api-key": key, "authorization": f"Bearer {other}"}
    assert airoxy.request("GET", "/v1/models", headers=both).status == 200
    assert "expired" in airoxy.cli("api-key", "list")
    set_(airoxy, "--expires", "none")
    assert ask(airoxy, key).status == 200


def expire(airoxy: Airoxy, when: int) -> None:
    """As if time had passed: the command lets nobody set a date that is past."""
    with contextlib.closing(open_database(airoxy.database)) as db:
        run(db, "UPDATE api_keys SET expires_at = ? WHERE id = 1", (when,))
    time.sleep(SNAPSHOT_TTL)
