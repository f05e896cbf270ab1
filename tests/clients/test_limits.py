"""The limits of client keys, as Anthropic's Python SDK understands their answers."""

from __future__ import annotations

import contextlib

import pytest

from airoxy.store.schema import open_database, run
from tests.conftest import NOON

pytestmark = pytest.mark.clients

HELLO = {
    "model": "claude-opus-5-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello"}],
}


@pytest.fixture
def sdk(airoxy, monkeypatch):
    """Makes a client whose key has these limits; it tries again as often as it does by itself."""
    import anthropic

    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    airoxy.token("sk-ant-api-test-one")
    made = []

    def sdk(*limits, **options):
        key = airoxy.json("api-key", "add", "--name", f"key {len(made)}", *limits)["key"]
        made.append(anthropic.Anthropic(base_url=airoxy.url, api_key=key, timeout=20, **options))
        return made[-1]

    yield sdk
    for client in made:
        client.close()


def test_a_rate_is_a_rate_limit_error(sdk):
    import anthropic

    client = sdk("--requests-per-minute", "1", max_retries=0)
    client.messages.create(**HELLO)
    with pytest.raises(anthropic.RateLimitError, match="1 requests per minute") as raised:
        client.messages.create(**HELLO)
    assert raised.value.body["error"]["type"] == "rate_limit_error"
    assert 0 < int(raised.value.response.headers["retry-after"]) <= 60


def test_money_that_is_spent_is_not_tried_for_again(sdk, airoxy):
    import anthropic

    client = sdk("--spend-per-month", "0.0001")
    client.messages.create(**HELLO)
    with pytest.raises(anthropic.RateLimitError, match="per month; it opens again at") as raised:
        client.messages.create(**HELLO)
    assert raised.value.body["error"]["type"] == "billing_error"
    assert client.messages.count_tokens(model=HELLO["model"], messages=HELLO["messages"])
    rows = airoxy.wait_logs(3)
    assert sorted(row["status_code"] for row in rows) == [200, 200, 429]


def test_who_runs_too_much_at_once_waits_for_its_turn(sdk, upstream):
    pace = upstream.script().paced()
    client = sdk("--concurrent", "1")
    with client.messages.create(**HELLO, stream=True) as stream:
        pace.open()
        next(stream)
    assert client.messages.create(**HELLO).usage.output_tokens == 12


def test_another_model_is_a_permission_that_is_denied(sdk):
    import anthropic

    client = sdk("--models", "claude-haiku-*")
    assert client.messages.create(**HELLO | {"model": "claude-haiku-4-5"}).usage
    with pytest.raises(anthropic.PermissionDeniedError, match="may not use the model claude-opus"):
        client.messages.create(**HELLO)
    with pytest.raises(anthropic.PermissionDeniedError, match="claude-opus-5-5"):
        client.messages.batches.create(requests=[{"custom_id": "1", "params": HELLO}])
    assert client.models.list().data


def test_an_expired_key_does_not_authenticate(sdk, airoxy):
    import anthropic

    client = sdk("--expires", "2099-12-31")
    client.messages.create(**HELLO)
    with contextlib.closing(open_database(airoxy.database)) as db:
        run(db, "UPDATE api_keys SET expires_at = ?", (int(NOON),))
    with pytest.raises(anthropic.AuthenticationError, match="This API key expired at") as raised:
        client.messages.create(**HELLO)
    assert raised.value.body["error"]["type"] == "authentication_error"
