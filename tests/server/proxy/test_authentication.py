"""Which keys are let in, and what is said where nobody knows."""

from __future__ import annotations

import pytest

from airoxy.core.keys import digest
from airoxy.errors import NotReady, Unauthorized
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.proxy.authentication import authenticate
from airoxy.store import keys
from airoxy.store.limits import set_limits


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
