"""Which keys are let in, and what is said where nobody knows."""

from __future__ import annotations

import pytest

from airoxy.core.keys import digest
from airoxy.errors import NotReady, Unauthorized
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.proxy.authentication import authenticate
from airoxy.store import keys


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
