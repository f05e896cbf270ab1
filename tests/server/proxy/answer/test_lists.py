"""Lists of what several accounts have, of which each key sees its own."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs

import pytest

from airoxy.server.proxy.proxy import SNAPSHOT_TTL
from airoxy.store.schema import open_database, run
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended
from tests.server.proxy.test_resources import make_key

TOKENS = ("sk-ant-api-test-one", "sk-ant-api-test-two", "sk-ant-api-test-three")
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture(scope="module")
def airoxy(tmp_path_factory, fake) -> Iterator[Airoxy]:
    """Running, with three tokens of three accounts."""
    airoxy = Airoxy(tmp_path_factory.mktemp("airoxy"), fake.url)
    with ended([airoxy]):
        for token in TOKENS:
            airoxy.token(token)
        yield airoxy.start()


class Collection:
    """What the accounts have of one kind, listed as the API does it: by ids, or by pages."""

    def __init__(self, fake, *, by_page):
        self.fake, self.path, self.by_page = fake, f"/v1/things{next(numbers)}", by_page
        self.owned = []  # token, item; the newest first
        fake.clear()
        fake.script(path=self.path, times=None).do(self.answer)
        within = f"{self.path}/"
        fake.script(when=lambda seen: seen.path.startswith(within), times=None).do(self._one)

    async def answer(self, x):
        if x.seen.method == "POST":
            number = next(numbers)
            at = f"2026-11-22T12:{number // 60 % 60:02}:{number % 60:02}Z"
            self.owned.insert(0, (x.seen.token, {"id": f"thing_{number:06}", "created_at": at}))
            return await self.fake.api.json(x, self.owned[0][1])
        query = {name: values[0] for name, values in parse_qs(x.seen.query).items()}
        items = [item for token, item in self.owned if token == x.seen.token]
        most = min(int(query.get("limit", 20)), 3)  # so that there are many pages
        if self.by_page:
            await self._page(x, items, query, most)
        else:
            await self._from(x, items, query, most)

    async def _page(self, x, items, query, most):
        start = int(query.get("page", "page_0").removeprefix("page_"))
        following = f"page_{start + most}" if start + most < len(items) else None
        shown = items[start : start + most]
        await self.fake.api.json(x, {"data": shown, "next_page": following})

    async def _from(self, x, items, query, most):
        ids = [item["id"] for item in items]
        for cursor in ("after_id", "before_id"):
            if cursor in query and query[cursor] not in ids:
                return await self.fake.api.refuse(x, 404, f"{cursor} not found")
        if "before_id" in query:
            before = items[: ids.index(query["before_id"])]
            shown, more = before[-int(query["limit"]) :], len(before) > int(query["limit"])
        else:
            start = ids.index(query["after_id"]) + 1 if "after_id" in query else 0
            shown, more = items[start : start + most], start + most < len(items)
        first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
        page = {"data": shown, "has_more": more, "first_id": first, "last_id": last}
        await self.fake.api.json(x, page)

    async def _one(self, x):
        for token, item in self.owned:
            if (token, item["id"]) == (x.seen.token, x.seen.path.rpartition("/")[2]):
                return await self.fake.api.json(x, item)
        await self.fake.api.refuse(x, 404, "Not found")

    def make(self, airoxy, key, count=1):
        """So many things; their ids, the newest first."""
        for _ in range(count):
            assert airoxy.request("POST", self.path, {}, key=key).status == 200
        return [item["id"] for _, item in self.owned[:count]]


def listed(airoxy, collection, key, query=""):
    answer = airoxy.request("GET", f"{collection.path}?{query}", key=key)
    assert answer.status == 200, answer
    return answer.json()


def ids(document):
    return [item["id"] for item in document["data"]]


@pytest.fixture(params=[False, True], ids=["by-ids", "by-pages"])
def collection(request, fake):
    return Collection(fake, by_page=request.param)


def mixed(airoxy, collection, key, other, rounds):
    """Things of two keys in turn; the ids of the first one's."""
    made = []
    for _ in range(rounds):
        made = collection.make(airoxy, key, 2) + made
        collection.make(airoxy, other)
    assert {token for token, _ in collection.owned} == set(TOKENS)
    return made


def test_a_list_shows_ones_own_of_all_accounts_newest_first(airoxy, collection):
    key, other = make_key(airoxy), make_key(airoxy)
    made = mixed(airoxy, collection, key, other, 5)
    document = listed(airoxy, collection, key)
    assert ids(document) == made
    if collection.by_page:
        assert document["next_page"] is None
    else:
        assert (document["first_id"], document["last_id"]) == (made[0], made[-1])
        assert document["has_more"] is False
    assert len(ids(listed(airoxy, collection, other))) == 5
    assert ids(listed(airoxy, collection, make_key(airoxy, "all"))) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 14])
def test_paging_goes_through_everything_once(airoxy, collection, limit):
    key, other = make_key(airoxy), make_key(airoxy)
    made = mixed(airoxy, collection, key, other, 7)
    found, query = [], ""
    while query is not None:
        document = listed(airoxy, collection, key, f"limit={limit}{query}")
        found += ids(document)
        assert len(ids(document)) <= limit
        if collection.by_page:
            page = document["next_page"]
            query = page and f"&page={page}"
        else:
            assert document["last_id"] == ids(document)[-1]
            query = f"&after_id={document['last_id']}" if document["has_more"] else None
    assert found == made


@pytest.mark.parametrize("limit", [1, 3, 20])
def test_before_an_id_come_those_right_before_it(airoxy, fake, limit):
    collection = Collection(fake, by_page=False)
    key = make_key(airoxy)
    made = collection.make(airoxy, key, 9)
    document = listed(airoxy, collection, key, f"limit={limit}&before_id={made[5]}")
    assert ids(document) == made[max(0, 5 - limit) : 5]
    assert document["has_more"] is (limit < 5)


def test_keys_that_share_all_see_one_list(airoxy, collection):
    one, two = make_key(airoxy, "all"), make_key(airoxy, "all")
    hidden = collection.make(airoxy, make_key(airoxy), 2)
    made = collection.make(airoxy, one, 4)
    unseen = {"id": "thing_unseen", "created_at": "2020-01-01T00:00:00Z"}
    collection.owned.append((TOKENS[0], unseen))
    assert ids(listed(airoxy, collection, two)) == [*made, "thing_unseen"]
    assert not set(hidden) & set(ids(listed(airoxy, collection, one)))


def test_with_one_token_too_a_list_has_nothing_of_a_key_that_does_not_share(install, upstream):
    airoxy = install()
    airoxy.token(TOKENS[0])
    airoxy.start()
    sharing = make_key(airoxy, "all")
    upstream.script(path="/v1/files").answer(
        200, [("Content-Type", "application/json")], b'{ "data": [ ] }'
    )
    assert airoxy.request("GET", "/v1/files", key=sharing).body == b'{ "data": [ ] }'  # as it came
    collection = Collection(upstream, by_page=False)
    private = collection.make(airoxy, make_key(airoxy), 2)
    shared = collection.make(airoxy, sharing, 2)
    assert private
    assert ids(listed(airoxy, collection, sharing)) == shared


def test_a_token_that_has_to_be_refreshed_first_shows_no_more_than_others(install, upstream):
    airoxy = install()
    airoxy.token("sk-ant-oat-test-one", "sk-ant-ort-test-one")
    airoxy.start()
    collection = Collection(upstream, by_page=False)
    collection.make(airoxy, make_key(airoxy), 2)
    with closing(open_database(airoxy.database)) as db:
        run(db, "UPDATE tokens SET expires_at = 1")
    time.sleep(SNAPSHOT_TTL)
    assert listed(airoxy, collection, make_key(airoxy))["data"] == []
    assert len(upstream.refreshes) == 1


def test_an_account_that_fails_is_told_and_leaves_the_others(airoxy, fake, collection):
    key = make_key(airoxy)
    collection.make(airoxy, key, 6)
    fake.clear()
    fake.script(token=TOKENS[1], times=None).status(500)
    fake.script(path=collection.path, times=None).do(collection.answer)
    answer = airoxy.request("GET", collection.path, key=key)
    assert (answer.status, answer.headers["x-airoxy-missing-accounts"]) == (200, "1")
    wanted = [item["id"] for token, item in collection.owned if token != TOKENS[1]]
    assert ids(answer.json()) == wanted


def test_where_all_fail_the_client_has_an_answer_of_anthropics(airoxy, fake):
    fake.clear()
    fake.script(times=None).status(500, "Everything is broken")
    answer = airoxy.request("GET", "/v1/things", key=make_key(airoxy))
    assert (answer.status, "Everything is broken" in answer.body.decode()) == (500, True)


@pytest.mark.parametrize("query", ["after_id={}", "before_id={}"])
def test_a_list_does_not_begin_at_somebody_elses_thing(airoxy, fake, query):
    collection = Collection(fake, by_page=False)
    (made,) = collection.make(airoxy, make_key(airoxy))
    path = f"{collection.path}?{query.format(made)}"
    assert airoxy.request("GET", path, key=make_key(airoxy)).status == 404


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=many", "page=page_2", "page=page_airoxy_x", "after_id=a&before_id=b"],
)
def test_what_cannot_be_asked_is_an_error(airoxy, query):
    answer = airoxy.request("GET", f"/v1/files?{query}", key=make_key(airoxy))
    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_what_is_no_list_passes_as_it_is(airoxy, fake):
    fake.clear()
    fake.script(path="/v1/whoami", times=None).json({"me": True})
    key = make_key(airoxy)
    assert airoxy.request("GET", "/v1/whoami", key=key).json() == {"me": True}
    models = airoxy.request("GET", "/v1/models?limit=1000", key=key)
    assert json.loads(models.body)["data"][0]["id"].startswith("claude-")
    assert airoxy.request("GET", "/v1/nothing", key=key).status == 404
