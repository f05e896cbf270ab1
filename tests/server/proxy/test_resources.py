"""What is made through airoxy stays with its token, and with the key that made it."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from airoxy.core.keys import new_key
from airoxy.server.proxy.proxy import SNAPSHOT_TTL
from airoxy.store import groups, keys
from airoxy.store.limits import set_limits
from airoxy.store.schema import open_database, transaction
from tests.fake_anthropic import FakeAnthropic
from tests.fake_anthropic.encodings import encode
from tests.program import Airoxy, ended

ONE, TWO = "sk-ant-api-test-one", "sk-ant-api-test-two"
MESSAGE = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": []}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture(scope="module", params=[1, 2], ids=["one-worker", "two-workers"])
def airoxy(request, tmp_path_factory, fake) -> Iterator[Airoxy]:
    """Running, with two tokens of two accounts."""
    airoxy = Airoxy(tmp_path_factory.mktemp("airoxy"), fake.url, workers=request.param)
    with ended([airoxy]):
        airoxy.token(ONE)
        airoxy.token(TWO)
        yield airoxy.start()


@pytest.fixture(autouse=True)
def cleared(fake):
    fake.clear()


def make_key(airoxy, shares=None, group_id=None):
    key = new_key(secrets.choice)
    with closing(open_database(airoxy.database)) as db, transaction(db):
        key_id = keys.add_key(db, f"key-{key[-6:]}", key, time.time())
        if shares:
            set_limits(db, key_id, {"share_resources": shares})
        if group_id:
            set_limits(db, key_id, {"group_id": group_id})
    time.sleep(SNAPSHOT_TTL)
    return key


def creating(fake, collection, prefix):
    """Anthropic makes such things, and finds each with the token that made it only."""
    made = {}

    async def make(x):
        made[f"{prefix}_{next(numbers):06}"] = x.seen.token
        await fake.api.json(x, {"id": list(made)[-1], "type": prefix})

    async def use(x):
        named = x.seen.path.split("/")[3]
        if made[named] != x.seen.token:
            return await fake.api.refuse(x, 404, "Not found")
        await fake.api.json(x, {"id": named, "mine": True})

    fake.script(path=collection, times=None).do(make)
    script = fake.script(when=lambda seen: seen.path.startswith(f"{collection}/"), times=None)
    script.do(use)
    return made


@pytest.mark.parametrize(
    ("collection", "prefix"),
    [
        ("/v1/sessions", "sesn"),
        ("/v1/skills", "skill"),
        ("/v1/agents", "agent"),
        ("/v1/memory_stores", "memstore"),
        ("/v1/something_new", "thing"),
    ],
)
def test_a_thing_is_found_again_with_the_token_that_made_it(airoxy, fake, collection, prefix):
    creating(fake, collection, prefix)
    key = make_key(airoxy)
    for _ in range(4):
        made = airoxy.request("POST", collection, {"name": "x"}, key=key).json()["id"]
        path = f"{collection}/{made}"
        for method, rest in (("GET", ""), ("GET", "/parts"), ("POST", "/archive"), ("PATCH", "")):
            answer = airoxy.request(method, path + rest, {} if method != "GET" else None, key=key)
            assert answer.status == 200, (method, rest)
        airoxy.request("GET", "/v1/models", key=key)  # so that the tokens do not just alternate
        airoxy.request("DELETE", path, key=key)


@pytest.mark.parametrize(
    ("status", "kind", "encoding"),
    [
        (201, "application/json; charset=utf-8", None),
        (200, "application/vnd.api+json", None),
        (202, "application/json", "gzip"),
    ],
)
def test_a_thing_is_its_keys_however_the_answer_tells_of_it(airoxy, fake, status, kind, encoding):
    key, other = make_key(airoxy), make_key(airoxy)
    made = f"agent_{next(numbers):06}"
    headers = [("Content-Type", kind), *([("Content-Encoding", encoding)] if encoding else [])]
    told = encode(encoding, json.dumps({"config": {"id": "agent_none"}, "id": made}).encode())
    fake.script(path="/v1/agents").answer(status, headers, told)
    assert airoxy.request("POST", "/v1/agents", {}, key=key).status == status
    fake.script(path=f"/v1/agents/{made}").json({"id": made})
    assert airoxy.request("GET", f"/v1/agents/{made}", key=other).status == 404
    assert airoxy.request("GET", f"/v1/agents/{made}", key=key).status == 200


def test_ids_in_the_body_select_the_token_and_must_be_ones_own(airoxy, fake):
    agents = creating(fake, "/v1/agents", "agent")
    key, other = make_key(airoxy), make_key(airoxy)
    used = []

    async def session(x):
        used.append(x.seen.token)
        await fake.api.json(x, {"id": f"sesn_{next(numbers):06}"})

    fake.script(path="/v1/sessions", times=None).do(session)
    for _ in range(4):
        agent = airoxy.request("POST", "/v1/agents", {}, key=key).json()["id"]
        body = {"settings": [{"agent": agent}]}
        assert airoxy.request("POST", "/v1/sessions", body, key=key).status == 200
        assert used[-1] == agents[agent]
        hidden = json.dumps(body).replace("agent_", "\\u0061gent\\u005f").encode()
        for sent in (body, hidden):
            answer = airoxy.request("POST", "/v1/sessions", sent, key=other)
            assert (answer.status, answer.json()["error"]["type"]) == (404, "not_found_error")


def upload(airoxy, key):
    body = (
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"content-type: text/plain\r\n\r\nhello\r\n--x--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=x"}
    return airoxy.request("POST", "/v1/files", body, headers, key=key).json()["id"]


def batch(airoxy, key):
    asked = {"requests": [{"custom_id": "1", "params": MESSAGE}]}
    return airoxy.request("POST", "/v1/messages/batches", asked, key=key).json()["id"]


VERBS = [
    ("GET", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/content"),
    ("HEAD", "/v1/files/{file}"),
    ("POST", "/v1/files/{file}"),
    ("PATCH", "/v1/files/{file}"),
    ("PUT", "/v1/files/{file}"),
    ("DELETE", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/"),
    ("GET", "/v1/messages/batches/{batch}"),
    ("GET", "/v1/messages/batches/{batch}/results"),
    ("POST", "/v1/messages/batches/{batch}/cancel"),
    ("DELETE", "/v1/messages/batches/{batch}"),
]


@pytest.mark.parametrize("shares", [None, "none", "group"])
def test_what_is_somebody_elses_is_not_found_whatever_the_verb(airoxy, fake, shares):
    mine, other = make_key(airoxy, shares), make_key(airoxy, shares)
    made = {"file": upload(airoxy, mine), "batch": batch(airoxy, mine)}
    fake.forget_requests()
    for method, path in VERBS:
        answer = airoxy.request(method, path.format(**made), key=other)
        assert answer.status == 404, (method, path)
        if method != "HEAD":
            assert answer.json()["error"]["type"] == "not_found_error"
    content = [{"type": "document", "source": {"type": "file", "file_id": made["file"]}}]
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        asked = MESSAGE | {"messages": [{"role": "user", "content": content}]}
        assert airoxy.request("POST", path, asked, key=other).status == 404
    assert not fake.requests
    for method, path in VERBS:
        wanted = 404 if method in ("POST", "PATCH", "PUT") and "files" in path else 200
        if method not in ("DELETE", "HEAD"):
            assert airoxy.request(method, path.format(**made), key=mine).status == wanted, path


def test_keys_that_share_all_use_each_others_things(airoxy):
    one, two, neither = make_key(airoxy, "all"), make_key(airoxy, "all"), make_key(airoxy)
    file = upload(airoxy, one)
    assert airoxy.request("GET", f"/v1/files/{file}", key=two).status == 200
    assert airoxy.request("GET", f"/v1/files/{file}", key=neither).status == 404
    file = upload(airoxy, neither)
    assert airoxy.request("GET", f"/v1/files/{file}", key=two).status == 404
    assert airoxy.request("DELETE", f"/v1/files/{file}", key=neither).status == 200


def test_the_keys_of_a_group_use_and_list_each_others_things(airoxy):
    with closing(open_database(airoxy.database)) as db:
        data, web = (
            groups.add_group(db, f"{name}-{next(numbers)}", time.time()) for name in ("data", "web")
        )
    one, two = (make_key(airoxy, group_id=data) for _ in range(2))
    others = (
        make_key(airoxy, group_id=web),
        make_key(airoxy),
        make_key(airoxy, "none", data),
        make_key(airoxy, "all"),
    )
    file = upload(airoxy, one)
    for key, may in ((one, True), (two, True), *((other, False) for other in others)):
        listed = airoxy.request("GET", "/v1/files?limit=1000", key=key).json()["data"]
        assert (file in [each["id"] for each in listed]) is may
        status = airoxy.request("GET", f"/v1/files/{file}", key=key).status
        assert status == (200 if may else 404)
    assert airoxy.request("DELETE", f"/v1/files/{file}", key=two).status == 200


def test_a_thing_that_airoxy_did_not_see_made_is_anthropics_affair(airoxy):
    key = make_key(airoxy)
    answer = airoxy.request("GET", "/v1/files/file_unseen", key=key)
    assert "File file_unseen not found." in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_container_stays_with_its_token_and_key(airoxy, fake, stream):
    key, other = make_key(airoxy), make_key(airoxy)
    for _ in range(4):
        named = f"container_{next(numbers):06}"
        fake.script(path="/v1/messages").message(container={"id": named, "expires_at": "2099"})
        assert airoxy.request("POST", "/v1/messages", MESSAGE | {"stream": stream}, key=key).body
        made_by = fake.messages[-1].token
        for container in (named, {"id": named, "skills": []}):
            asked = MESSAGE | {"container": container}
            assert airoxy.request("POST", "/v1/messages", asked, key=key).status == 200
            assert fake.messages[-1].token == made_by
            assert airoxy.request("POST", "/v1/messages", asked, key=other).status == 404
        airoxy.request("GET", "/v1/models", key=key)


def test_a_long_answer_to_a_post_arrives_whole(airoxy, fake):
    key = make_key(airoxy)
    body = json.dumps({"data": "x" * 3_000_000, "id": "thing_long"}).encode()
    kind = [("Content-Type", "application/json")]
    fake.script(path="/v1/things").answer(200, kind, body)
    assert airoxy.request("POST", "/v1/things", {}, key=key).body == body

    async def chunked(x):
        await x.begin(200, kind)
        for start in range(0, len(body), 100_000):
            await x.piece(body[start : start + 100_000])
        await x.end()

    fake.script(path="/v1/things").do(chunked)
    assert airoxy.request("POST", "/v1/things", {}, key=key).body == body
