"""How guesses at a passphrase are slowed, by a clock that stands still meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from airoxy.config import load_config
from airoxy.console.pages.login import log_in
from airoxy.console.passphrases import hashed
from airoxy.console.throttle import FREE
from airoxy.console.visit import Rendered, SeeOther, Services, Visit
from airoxy.store.console import users
from tests.conftest import Clock

GOOD = "correct horse battery"


@pytest.fixture
def visit(db: apsw.Connection, clock: Clock, tmp_path: Path) -> Visit:
    """By somebody at an address who could be maria."""
    file = tmp_path / "airoxy.yaml"
    file.write_text(json.dumps({"database": db.filename}))
    maria = users.add_user(db, "maria", users.ADMIN, clock())
    users.set_passphrase(db, maria, hashed(GOOD))
    services = Services(load_config(file, {}), clock, lambda: (None, {}), list)
    return Visit(db, services, None, address="192.0.2.7")


def tried(visit: Visit, passphrase: str, address: str = "192.0.2.7") -> Rendered | SeeOther:
    form = {"name": "maria", "passphrase": passphrase}
    reply = log_in(replace(visit, address=address, form=form))
    assert isinstance(reply, Rendered | SeeOther)
    return reply


def test_failures_are_slowed_for_a_user_whoever_tries(visit: Visit, clock: Clock) -> None:
    for number in range(FREE["user"]):
        failed = tried(visit, "not this one", f"192.0.2.{number}")
        assert isinstance(failed, Rendered)
        assert failed.status == 403
    waits = tried(visit, GOOD, "198.51.100.1")
    assert isinstance(waits, Rendered)
    assert (waits.status, waits.values["trouble"]) == (429, "Too many tries; wait for 1 s.")
    clock.advance(1)
    assert isinstance(tried(visit, GOOD), SeeOther)
