"""Which token a request goes out with: in turn, with its session, or with what it names; on all
workers, and after a command has changed something."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.server.pool.pooled import ONE, THREE, TWO, ask, listed


def test_requests_rotate_over_the_tokens(pool, upstream: FakeAnthropic):
    airoxy, key = pool
    for _ in range(9):
        assert ask(airoxy, key).status == 200
    assert upstream.tokens == [ONE, TWO, THREE] * 3


def test_a_session_stays_with_one_token_until_that_cools(pool, upstream):
    airoxy, key = pool
    session = {"x-claude-code-session-id": "0b5c1f52-aaaa-bbbb-cccc-000000000001"}
    for _ in range(4):
        ask(airoxy, key, headers=session)
    (mine,) = set(upstream.tokens)
    upstream.script(token=mine).limit(retry_after=60)
    for _ in range(4):
        assert ask(airoxy, key, headers=session).status == 200
    assert upstream.tokens[4] == mine
    assert len(set(upstream.tokens[5:])) == 1
    assert upstream.tokens[5] != mine


def test_affinity_none_rotates_sessions_too(install, upstream):
    airoxy = install(affinity="none").start()
    airoxy.token(ONE)
    airoxy.token(TWO)
    key = airoxy.key()
    for _ in range(4):
        ask(airoxy, key, headers={"x-claude-code-session-id": "one"})
    assert upstream.tokens == [ONE, TWO] * 2


def test_what_belongs_to_a_token_stays_with_it(pool, upstream):
    airoxy, key = pool
    made = [
        airoxy.request("POST", "/v1/messages/batches", {"requests": []}, key=key).json()["id"]
        for _ in range(3)
    ]
    assert upstream.tokens == [ONE, TWO, THREE]
    for batch, owner in reversed(list(zip(made, (ONE, TWO, THREE), strict=True))):
        assert airoxy.request("GET", f"/v1/messages/batches/{batch}", key=key).status == 200
        assert upstream.tokens[-1] == owner


def test_a_file_named_in_a_request_takes_it_to_the_files_token(pool, upstream):
    airoxy, key = pool
    form = {"content-type": "multipart/form-data; boundary=b"}
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"content-type: text/plain\r\n\r\nHello\r\n--b--\r\n"
    )
    made = airoxy.request("POST", "/v1/files", body, form, key=key).json()["id"]
    source = {"type": "document", "source": {"type": "file", "file_id": made}}
    for _ in range(3):
        ask(airoxy, key, messages=[{"role": "user", "content": [source]}])
    assert upstream.tokens == [ONE] * 4


def test_a_pinned_request_is_not_sent_to_another_account(pool, upstream):
    airoxy, key = pool
    batch = airoxy.request("POST", "/v1/messages/batches", {"requests": []}, key=key).json()["id"]
    upstream.script(token=ONE).overloaded()
    assert airoxy.request("GET", f"/v1/messages/batches/{batch}", key=key).status == 529
    airoxy.cli("token", "remove", str(listed(airoxy)["one"]["id"]))
    answer = airoxy.request("GET", f"/v1/messages/batches/{batch}", key=key)
    assert answer.status == 503
    assert "belongs" in answer.json()["error"]["message"]
    assert upstream.tokens == [ONE, ONE]


def test_a_batch_is_remembered_until_it_was_deleted(pool, upstream):
    airoxy, key = pool
    batch = airoxy.request("POST", "/v1/messages/batches", {"requests": []}, key=key).json()["id"]
    path = f"/v1/messages/batches/{batch}"
    upstream.script(path=path).overloaded()
    for status in (529, 200):
        assert airoxy.request("DELETE", path, key=key).status == status
    while remembered(airoxy):
        time.sleep(0.01)
    assert upstream.tokens == [ONE] * 3


def remembered(airoxy: Airoxy) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(airoxy.database)) as db:
        return db.execute("SELECT id FROM resources").fetchall()


def test_two_workers_share_one_rotation_and_one_cooling(install, upstream):
    airoxy = install(workers=2).start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    key = airoxy.key()
    threads = [threading.Thread(target=ask, args=(airoxy, key)) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(upstream.tokens) == sorted([ONE, TWO, THREE] * 3)
    upstream.clear()
    upstream.script(token=ONE).limit(retry_after=60)
    for _ in range(12):
        assert ask(airoxy, key).status == 200
    assert upstream.tokens.count(ONE) == 1


def test_what_a_command_changes_holds_from_the_next_request_on(pool, upstream):
    airoxy, key = pool
    ids = {name: str(row["id"]) for name, row in listed(airoxy).items()}
    airoxy.cli("token", "toggle", ids["one"])
    ask(airoxy, key)
    airoxy.cli("token", "remove", ids["two"])
    ask(airoxy, key)
    ask(airoxy, key)
    assert upstream.tokens == [TWO, THREE, THREE]
    airoxy.cli("token", "toggle", ids["one"])
    ask(airoxy, key)
    assert upstream.tokens[-1] == ONE
    key_id = str(airoxy.json("api-key", "list")[0]["id"])
    airoxy.cli("api-key", "toggle", key_id)
    assert ask(airoxy, key).status == 401
    airoxy.cli("api-key", "toggle", key_id)
    assert ask(airoxy, key).status == 200
    airoxy.cli("api-key", "remove", key_id)
    assert ask(airoxy, key).status == 401


@pytest.mark.parametrize("workers", [1, 2])
def test_the_highest_priority_that_is_ready_is_used(install, upstream, workers):
    airoxy = install(workers=workers).start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    airoxy.cli("token", "set", "two", "--priority", "5")
    airoxy.cli("token", "set", "three", "--priority", "5")
    key = airoxy.key()
    session = {"x-claude-code-session-id": "0b5c1f52-aaaa-bbbb-cccc-000000000001"}
    for number in range(8):
        assert ask(airoxy, key, headers=session if number % 2 else {}).status == 200
    assert set(upstream.tokens) == {TWO, THREE}
    upstream.clear()
    for secret in (TWO, THREE):
        upstream.script(token=secret).limit(retry_after=60)
    for number in range(4):
        assert ask(airoxy, key, headers=session if number % 2 else {}).status == 200
    assert upstream.tokens.count(ONE) == 4
    airoxy.cli("token", "reset", "three")
    ask(airoxy, key)
    assert upstream.tokens[-1] == THREE


def test_a_key_with_a_pool_uses_the_tokens_of_that_pool_only(pool, upstream):
    airoxy, key = pool
    airoxy.cli("token", "set", "two", "--pool", "red")
    red = airoxy.key("red")
    airoxy.cli("api-key", "set", "red", "--pool", "red")
    for _ in range(3):
        assert ask(airoxy, red).status == 200
    assert upstream.tokens == [TWO] * 3
    for _ in range(3):
        ask(airoxy, key)
    assert set(upstream.tokens[3:]) == {ONE, TWO, THREE}
    upstream.clear()
    upstream.script(token=TWO).limit(retry_after=60)
    session = {"x-claude-code-session-id": "0b5c1f52-aaaa-bbbb-cccc-000000000001"}
    for headers in ({}, session):
        answer = ask(airoxy, red, headers=headers)
        assert answer.status == 429
    assert upstream.tokens == [TWO]
    assert ask(airoxy, key).status == 200
    airoxy.cli("token", "set", "two", "--pool", "none")
    assert ask(airoxy, red).status == 503
    airoxy.cli("api-key", "set", "red", "--pool", "none")
    assert ask(airoxy, red).status == 200


def slowly(airoxy: Airoxy, key: str, meanwhile: Callable[[], object]) -> bytes:
    """The answer's first line, to a request whose body comes after something else has happened."""
    body = (
        b'{"model": "claude-opus-5-5", "max_tokens": 10,'
        b' "messages": [{"role": "user", "content": "Hello"}]}'
    )
    with airoxy.connect() as client:
        client.sendall(
            b"POST /v1/messages HTTP/1.1\r\nhost: airoxy\r\nexpect: 100-continue\r\n"
            b"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
            b"x-api-key: %b\r\ncontent-length: %d\r\n\r\n" % (key.encode(), len(body))
        )
        answer = client.makefile("rb")
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert answer.readline() == b"\r\n"
        meanwhile()
        client.sendall(body)
        return answer.readline()


def test_a_request_whose_body_comes_slowly_uses_the_pool_that_its_key_has_by_then(pool, upstream):
    """The pool of when it came has no tokens any more."""
    airoxy, other = pool
    airoxy.cli("token", "set", "one", "--pool", "red")
    airoxy.cli("token", "set", "two", "--pool", "blue")
    key = airoxy.key("mine")
    airoxy.cli("api-key", "set", "mine", "--pool", "red")

    def move() -> None:
        airoxy.cli("api-key", "set", "mine", "--pool", "blue")
        airoxy.cli("token", "remove", "one", "--yes")
        assert ask(airoxy, other).status == 200

    assert b" 200 " in slowly(airoxy, key, move)
    assert upstream.tokens[-1] == TWO


def test_a_request_that_came_before_its_key_was_disabled_stays_in_its_pool(pool, upstream):
    airoxy, other = pool
    airoxy.cli("token", "set", "one", "--pool", "red")
    key = airoxy.key("mine")
    airoxy.cli("api-key", "set", "mine", "--pool", "red")

    def disable() -> None:
        airoxy.cli("api-key", "disable", "mine")
        assert ask(airoxy, other).status == 200

    for _ in range(3):
        assert b" 200 " in slowly(airoxy, key, disable)
        assert upstream.tokens[-1] == ONE
        airoxy.cli("api-key", "enable", "mine")
    airoxy.cli("api-key", "disable", "mine")
    assert ask(airoxy, key).status == 401


def test_what_belongs_to_a_token_out_of_the_keys_pool_is_out_of_its_reach(pool, upstream):
    airoxy, key = pool
    batch = airoxy.request("POST", "/v1/messages/batches", {"requests": []}, key=key).json()["id"]
    airoxy.cli("token", "set", "two", "--pool", "red")
    key_id = str(airoxy.json("api-key", "list")[0]["id"])
    airoxy.cli("api-key", "set", key_id, "--pool", "red")
    upstream.clear()
    assert airoxy.request("GET", f"/v1/messages/batches/{batch}", key=key).status == 503
    assert not upstream.tokens


@pytest.mark.parametrize("workers", [1, 2])
def test_a_deactivated_token_is_asked_once_even_while_the_database_cannot_be_written(
    install, upstream, workers
):
    airoxy = install(workers=workers).start()
    for name, secret in (("one", ONE), ("two", TWO)):
        airoxy.token(secret, name=name)
    key = airoxy.key()
    upstream.revoke(ONE)
    with contextlib.closing(sqlite3.connect(airoxy.database)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        assert [ask(airoxy, key).status for _ in range(8)] == [200] * 8
        assert upstream.tokens.count(ONE) == 1
        locker.rollback()
    deadline = time.monotonic() + 60
    while listed(airoxy)["one"]["is_active"]:
        assert time.monotonic() < deadline
    assert upstream.tokens.count(ONE) == 1
