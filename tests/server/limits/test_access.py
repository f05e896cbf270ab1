"""Which endpoints a key reaches, by its limits and its paths."""

from __future__ import annotations

import time

import pytest

from airoxy.core.keys import digest
from airoxy.store.schema import run
from tests.server.limits.asking import ask, limited

COUNTED = (
    ("--spend-per-day", "1"),
    ("--spend-per-month", "1"),
    ("--tokens-per-minute", "1000"),
    ("--models", "claude-*"),
)
UNCOUNTED = (("--requests-per-minute", "100"), ("--concurrent", "9"), ("--expires", "2099-12-31"))
MONEY = COUNTED[0]


@pytest.fixture(autouse=True)
def answering(fake):
    """Anthropic has all of these."""
    fake.clear()
    for path in (
        "/v1/agents", "/v1/complete", "/v1/Messages", "/v1/sessions/sesn_01/events", "/v1/dreams",
        "/v1/organizations/users", "/v1/agents/agent_01", "/v1/chat/completions",
    ):  # fmt: skip
        fake.script(path=path, times=None).json({"done": True})


def rows_of(served, key, number):
    """The rows of a key, once there are so many; those of the other tests come when they come."""
    with served.opened() as db:
        ((key_id,),) = run(db, "SELECT id FROM api_keys WHERE digest = ?", (digest(key),))
    deadline = time.monotonic() + 60
    while len(rows := [row for row in served.wait_logs(0) if row["api_key_id"] == key_id]) < number:
        assert time.monotonic() < deadline, rows
        time.sleep(0.01)
    return rows


def status(served, key, method, path):
    answer = served.request(method, path, b"{}" if method == "POST" else None, key=key)
    if answer.status != 200:
        told = answer.json()
        kind = {403: "permission_error", 404: "not_found_error"}[answer.status]
        assert (told["type"], told["error"]["type"]) == ("error", kind)
    return answer.status


@pytest.mark.parametrize("limits", COUNTED, ids=lambda limits: limits[0])
@pytest.mark.parametrize(
    "path",
    ["/v1/agents", "/v1/complete", "/v1/Messages", "/v1/sessions/sesn_01/events", "/v1/dreams"],
)
def test_what_cannot_be_counted_is_closed_to_a_key_whose_use_must_be(served, fake, limits, path):
    key = limited(served, *limits)
    answer = served.request("POST", path, b"{}", key=key)
    assert answer.status == 403
    assert answer.json()["error"]["type"] == "permission_error"
    assert "--paths" in answer.json()["error"]["message"]
    assert not fake.requests
    assert served.request("GET", path, key=key).status == 200


@pytest.mark.parametrize("limits", [(), *UNCOUNTED], ids=lambda limits: " ".join(limits[:1]))
def test_other_keys_reach_everything_but_the_admin_api(served, limits):
    key = limited(served, *limits)
    assert status(served, key, "POST", "/v1/agents") == 200
    assert status(served, key, "POST", "/v1/Messages") == 200
    assert status(served, key, "DELETE", "/v1/agents/agent_01") == 200
    assert status(served, key, "GET", "/v1/organizations/users") == 403
    assert status(served, key, "POST", "/v1/Organizations/users") == 403


@pytest.mark.parametrize("limits", [(), MONEY], ids=["no-limit", "money"])
def test_paths_open_what_they_name_and_nothing_else(served, limits):
    key = limited(served, *limits, "--paths", "/v1/agents*,/v1/organizations/us?rs")
    assert status(served, key, "POST", "/v1/agents") == 200
    assert status(served, key, "DELETE", "/v1/agents/agent_01") == 200
    assert status(served, key, "GET", "/v1/organizations/users") == 200
    assert status(served, key, "GET", "/v1/organizations/userss") == 403
    assert status(served, key, "POST", "/v1/dreams") == (403 if limits else 200)


def test_what_can_be_counted_or_is_free_is_open_to_every_key(served):
    key = limited(served, *(word for limits in COUNTED for word in limits))
    assert ask(served, key, path="/v1/messages?beta=true").status == 200
    assert ask(served, key, path="/v1/messages/count_tokens").status == 200
    assert ask(served, key, path="/v1/chat/completions").status == 200
    assert served.request("GET", "/v1/models?limit=1000", key=key).status == 200
    asked = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": []}
    batch = {"requests": [{"custom_id": "1", "params": asked}]}
    made = served.request("POST", "/v1/messages/batches", batch, key=key).json()
    path = f"/v1/messages/batches/{made['id']}"
    for method, rest in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
        assert served.request(method, path + rest, key=key).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1//messages", "/v1/./messages", "/v1/x/../messages", "/v1/messages;a=b", "/V1/messages",
        "/v1/messages%20", "/v1//messages/batches", "/v1/%6dessages", "/v1/messages%2Fbatches",
        "/v1/..;/messages", "/v1/%252e/messages",
    ],
)  # fmt: skip
@pytest.mark.parametrize("limits", [(), MONEY], ids=["no-limit", "money"])
def test_a_path_under_another_name_is_found_by_nobody(served, fake, limits, path):
    key = limited(served, *limits)
    answer = ask(served, key, path=path)
    assert (answer.status, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert not fake.requests


@pytest.mark.parametrize(
    ("networks", "headers", "status"),
    [
        ("127.0.0.0/8", {}, 200),
        ("192.0.2.0/24", {}, 403),
        ("192.0.2.0/24,127.0.0.1", {}, 200),
        ("192.0.2.0/24", {"x-forwarded-for": "198.51.100.1, 192.0.2.7"}, 200),
        ("198.51.100.0/24", {"x-forwarded-for": "198.51.100.1, 192.0.2.7"}, 403),
        ("127.0.0.0/8", {"x-forwarded-for": "192.0.2.7"}, 403),
        ("2001:db8::/32", {"x-forwarded-for": "2001:db8::7"}, 200),
    ],
)
def test_a_key_is_for_the_networks_that_it_names(served, networks, headers, status):
    key = limited(served, "--from", networks)
    answer = served.request("GET", "/v1/models", headers=headers, key=key)
    assert answer.status == status
    if status == 403:
        assert answer.json()["error"]["type"] == "permission_error"


def test_what_could_not_be_counted_is_marked_in_the_log(served):
    key = limited(served, *MONEY, "--paths", "/v1/agents*")
    for method, path in (("POST", "/v1/agents"), ("GET", "/v1/agents"), ("POST", "/v1/dreams")):
        status(served, key, method, path)
    ask(served, key)
    rows = rows_of(served, key, 4)
    assert {(row["endpoint"], row["status_code"]) for row in rows if row["uncounted"]} == {
        ("/v1/agents", 200)
    }
    assert [row["uncounted"] for row in rows].count(True) == 1
