"""Files drawn at random: what was applied is exported, and applied again without a change."""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from datetime import UTC
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airoxy.jobs.declared.export import declared
from airoxy.jobs.declared.keys_file import KeysFile, read_keys_file
from airoxy.jobs.declared.plan import carry_out, make_plan
from airoxy.store import keys
from airoxy.store.audit.trail import read_trail
from airoxy.store.names import all_names
from airoxy.store.schema import transaction
from tests.databases import open_new
from tests.store.seed import active_digests

GROUPS = st.sampled_from(["red", "blue"])
MONEY = st.sampled_from([5, "2.50", None, "none", 10_000])
FIELDS = {
    "spend_per_day": MONEY,
    "spend_total": MONEY,
    "requests_per_minute": st.sampled_from([1, 60, None]),
    "models": st.sampled_from([[], ["claude-haiku-*"], "a,b", None]),
    "note": st.sampled_from(["x", "=1+1", None]),
}
OF_KEYS = FIELDS | {
    "group": st.sampled_from(["red", "none", None]),
    "pool": st.sampled_from(["p", None]),
    "enabled": st.booleans(),
    "expires": st.sampled_from(["2020-12-31", "2030-01-01T12:00:00+02:00", None]),
    "share_resources": st.sampled_from(["none", "group", "all", None]),
    "from": st.sampled_from([["10.0.0.0/8"], None]),
}
FILES = st.fixed_dictionaries(
    {
        "groups": st.dictionaries(GROUPS, st.fixed_dictionaries({}, optional=FIELDS)).map(
            lambda found: {"red": {}, **found}
        ),
        "keys": st.dictionaries(
            st.sampled_from(["a", "b", "c", "no", "1"]), st.fixed_dictionaries({}, optional=OF_KEYS)
        ),
    }
)  # fmt: skip
NUMBERS = itertools.count()


def parsed(directory: Path, document: Any) -> KeysFile:
    file = directory / "keys.yaml"
    file.write_text(json.dumps(document))
    return read_keys_file(file, UTC)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(FILES, st.booleans()), min_size=1, max_size=4))
def test_what_is_applied_is_there_and_stays(steps) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        db = stack.enter_context(contextlib.closing(open_new(directory / "airoxy.db")))
        for document, prune in steps:
            file = parsed(directory, document)
            digests = active_digests(db)
            with transaction(db):
                plan = make_plan(db, file, prune=prune)
                carry_out(db, plan, 1.0, lambda: f"ak-{next(NUMBERS):040}")
            before = read_trail(db)
            with transaction(db):
                again = make_plan(db, file, prune=prune)
                carry_out(db, again, 1.0, lambda: f"ak-{next(NUMBERS):040}")
            assert again.changes == []
            assert read_trail(db) == before
            assert make_plan(db, parsed(directory, declared(db)), prune=True).changes == []
            there = {key["name"] for key in keys.list_keys(db)}
            assert set(document["keys"]) <= there
            if prune:
                assert there == set(document["keys"])
            # A key that was let in and is declared keeps its secret.
            kept = {
                digest: key for digest, key in digests.items() if key in all_names(db, "api_keys")
            }
            for digest, key_id in active_digests(db).items():
                assert kept.get(digest, key_id) == key_id
