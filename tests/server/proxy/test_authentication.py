"""Which keys are let in, and what is said where nobody knows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection

import apsw
import pytest

from airoxy.core.keys import digest
from airoxy.errors import NotReady, Unauthorized
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.proxy.authentication import authenticate, holds_on
from airoxy.store import groups, keys
from airoxy.store.limits import set_limits
from tests.program import Airoxy

BODY = b'{"model":"claude-opus-5-5","max_tokens":10,"messages":[]}'
ELSEWHERE = ("192.0.2.1/32",)


def test_a_key_is_invalid_only_where_the_keys_are_known(db):
    keys.add_key(db, "laptop", "ak-test", 0)
    snapshot = Snapshot(db)
    with pytest.raises(NotReady) as unknown:
        authenticate([digest("ak-test")], snapshot, 0)
    assert unknown.value.status == 503
    snapshot.renew()
    assert authenticate([digest("ak-test")], snapshot, 0)[0] == 1
    with pytest.raises(Unauthorized):
        authenticate([digest("ak-other")], snapshot, 0)


def test_an_old_secret_is_good_until_the_second_that_was_said(db):
    keys.add_key(db, "laptop", "ak-first", 0)
    keys.rotate_key(db, 1, "ak-second", 60, 1000.9)
    snapshot = Snapshot(db)
    snapshot.renew()
    for now in (1000, 1059.999, 1060, 9999):
        assert authenticate([digest("ak-second")], snapshot, now)[0] == 1
    for now in (1000, 1059.999):
        assert authenticate([digest("ak-first")], snapshot, now)[0] == 1
    with pytest.raises(Unauthorized, match="was replaced .* ended at 1970-01-01 00:17 UTC") as over:
        authenticate([digest("ak-first")], snapshot, 1060)
    assert over.value.expired


def test_an_old_secret_has_the_limits_of_its_key(db):
    keys.add_key(db, "laptop", "ak-first", 0)
    set_limits(db, 1, {"expires_at": 1050, "requests_per_minute": 5})
    keys.rotate_key(db, 1, "ak-second", 60, 1000)
    snapshot = Snapshot(db)
    snapshot.renew()
    key_id, limits = authenticate([digest("ak-first")], snapshot, 1049)
    assert limits is snapshot.limits[key_id]
    with pytest.raises(Unauthorized, match="expired"):
        authenticate([digest("ak-first")], snapshot, 1050)


def test_what_ends_by_itself_is_looked_at_for_each_request(db):
    keys.add_key(db, "laptop", "ak-first", 0)
    keys.add_key(db, "trial", "ak-trial", 0)
    set_limits(db, 2, {"expires_at": 5000})
    keys.rotate_key(db, 1, "ak-second", 60, 1000)
    snapshot = Snapshot(db)
    snapshot.renew()
    for secrets, holds in {
        ("ak-second",): True,
        ("ak-first",): False,
        ("ak-first", "ak-second"): True,
        ("ak-trial",): False,
        ("ak-trial", "ak-second"): False,
        ("ak-second", "ak-trial"): True,
    }.items():
        digests = list(map(digest, secrets))
        key_id, limits = authenticate(digests, snapshot, 1000)
        assert holds_on(digests, snapshot, key_id, limits) is holds, secrets


def test_what_changes_of_a_key_holds_on_the_connection_that_it_was_shown_on(airoxy: Airoxy) -> None:
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    with airoxy.opened() as db:
        group_id = groups.add_group(db, "team", time.time())
    rotate = partial(keys.rotate_key, key_id=1, now=time.time())
    changes: list[tuple[Callable[[apsw.Connection], object], int]] = [
        (partial(keys.set_active, key_id=1, active=False), 401),
        (partial(keys.set_active, key_id=1, active=True), 200),
        (partial(set_limits, key_id=1, changes={"pool": "none"}), 503),
        (partial(set_limits, key_id=1, changes={"pool": None, "expires_at": 1}), 401),
        (partial(set_limits, key_id=1, changes={"expires_at": None, "group_id": group_id}), 200),
        (partial(groups.set_group, group_id=group_id, changes={"from_networks": ELSEWHERE}), 403),
        (partial(groups.set_group, group_id=group_id, changes={"from_networks": None}), 200),
        (partial(rotate, key="ak-other", overlap=3600), 200),
        (partial(rotate, key=None, overlap=0), 401),
    ]
    with contextlib.closing(HTTPConnection("127.0.0.1", airoxy.port)) as connection:

        def ask() -> int:
            headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
            connection.request("POST", "/v1/messages", BODY, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert ask() == 200
        socket = connection.sock
        for change, status in changes:
            with airoxy.opened() as db:
                change(db)
            deadline = time.monotonic() + 30
            while ask() != status:
                assert time.monotonic() < deadline, (change, status)
        assert connection.sock is socket
