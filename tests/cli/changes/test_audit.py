"""`airoxy audit`, and what is told to the journal."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import apsw
import pytest

from airoxy.cli.changes.audit import tell_journal
from airoxy.cli.system.owner import caller
from airoxy.store import keys
from airoxy.store.audit.trail import Actor, act_as
from airoxy.store.limits import set_limits
from airoxy.store.schema import run
from tests.program import Airoxy

KEY = "ak-" + "test" * 10
ME = pwd.getpwuid(os.getuid()).pw_name
#: A formula, a colour, a line break, a letter that turns the line round, and HTML.
HOSTILE = '=HYPERLINK("x")\x1b[31m\n\u202e<script>'


@pytest.fixture
def typed(install) -> Airoxy:
    """An airoxy whose server does not run."""
    return install()


def test_it_says_who_has_changed_what_by_which_command(typed: Airoxy) -> None:
    typed.cli("api-key", "add", "laptop", "--spend-per-day", "5")
    typed.cli("api-key", "set", "laptop", "--spend-per-day", "10", "--models", "claude-haiku-*")
    typed.cli("api-key", "disable", "laptop")
    head, *lines = typed.cli("audit").splitlines()
    assert head.split() == ["TIME", "BY", "WHAT", "NAME", "ACTION", "CHANGE"]
    told = [line.partition("Z  ")[2] for line in lines]
    assert [" ".join(each.split()) for each in told[1:]] == [
        f"{ME} (api-key add) key 1 laptop changed spend_per_day none → $5.00",
        f"{ME} (api-key set) key 1 laptop changed spend_per_day $5.00 → $10.00, models none →"
        " claude-haiku-*",
        f"{ME} (api-key disable) key 1 laptop disabled -",
    ]


def test_json_has_both_sides_by_column(typed: Airoxy) -> None:
    typed.cli("api-key", "add", "laptop")
    typed.cli("api-key", "set", "laptop", "--spend-per-day", "10")
    added, changed = typed.json("audit")
    assert (added["action"], added["before"]) == ("added", None)
    assert {k: v for k, v in changed.items() if k not in ("id", "at")} == {
        "actor": ME, "uid": os.getuid(), "via": "api-key set", "kind": "key", "subject_id": 1,
        "name": "laptop", "action": "changed", "before": {"spend_per_day_nanousd": None},
        "after": {"spend_per_day_nanousd": 10_000_000_000},
    }  # fmt: skip


def test_entries_are_chosen_by_key_token_and_time(typed: Airoxy) -> None:
    for name in ("laptop", "phone"):
        typed.cli("api-key", "add", name)
    typed.token("sk-ant-api-test", name="pool")
    typed.cli("api-key", "remove", "laptop")

    def named(*options: str) -> list[str]:
        return [entry["name"] for entry in typed.json("audit", *options)]

    assert named("--key", "laptop") == ["laptop", "laptop"]
    assert named("--token", "pool") == ["pool"]
    assert named("-n", "1") == ["laptop"]
    assert len(named("--since", "1h")) == 4
    assert named("--until", "1h") == []
    assert "No change" in typed.cli("audit", "--until", "1h")
    assert "There is no key" in typed.run("audit", "--key", "nobody").stderr


def test_a_token_that_anthropic_refuses_is_the_servers_change(airoxy: Airoxy, upstream) -> None:
    airoxy.token("sk-ant-api-test-dead", name="dead")
    upstream.script(times=None).unauthorized()
    airoxy.request("POST", "/v1/messages", b"{}", key=airoxy.key("laptop"))
    airoxy.stop()  # what was given up is written by then
    entry = airoxy.json("audit", "--token", "dead")[-1]
    assert (entry["actor"], entry["action"]) == ("server", "disabled")
    assert entry["after"]["inactive_reason"] == "Anthropic answered 401: invalid x-api-key"


def test_with_sudo_the_one_who_called_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    sudo = {"SUDO_USER": "ada", "SUDO_UID": "1000"}
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert caller(sudo) == ("ada", 1000)
    assert caller({}) == ("root", 0)
    assert caller({"SUDO_USER": "ada", "SUDO_UID": "many"}) == ("root", 0)
    # Who is not root has not been called by sudo, whatever the environment says.
    monkeypatch.setattr(os, "getuid", lambda: 1)
    assert caller(sudo) == (pwd.getpwuid(1).pw_name, 1)


def told(db: apsw.Connection, address: Path) -> list[str]:
    """What the journal gets of the changes that `db` has made."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(os.fspath(address))
        journal.setblocking(False)
        tell_journal(db, address)
        lines = []
        while True:
            try:
                lines.append(journal.recv(65536).decode())
            except BlockingIOError:
                return lines


def test_each_change_is_a_line_in_the_journal(db: apsw.Connection, tmp_path: Path) -> None:
    act_as(db, Actor("ada", 1000, "api-key set"))
    key_id = keys.add_key(db, "laptop", KEY, 1)
    set_limits(db, key_id, {"requests_per_minute": 5})
    start = f"<29>airoxy[{os.getpid()}]: ada (api-key set): key 1 (laptop)"
    assert told(db, tmp_path / "log") == [
        f"{start} added: masked ak-testt…test",
        f"{start} changed: requests_per_minute none → 5",
    ]


def test_a_machine_without_a_journal_is_no_failure(db: apsw.Connection, tmp_path: Path) -> None:
    act_as(db, Actor("ada"))
    keys.add_key(db, "laptop", KEY, 1)
    tell_journal(db, tmp_path / "nowhere")


def test_a_hostile_name_is_one_line_of_what_can_be_seen(typed: Airoxy, tmp_path: Path) -> None:
    with typed.opened() as db:
        act_as(db, Actor(HOSTILE, None, "console"))
        key_id = keys.add_key(db, HOSTILE, KEY, 1)
        set_limits(db, key_id, {"note": HOSTILE})
        for line in told(db, tmp_path / "log"):
            assert line.isprintable(), line
    shown = typed.cli("audit")
    assert len(shown.splitlines()) == 3
    assert shown.replace("\n", "").isprintable()
    assert typed.json("audit")[0]["name"] == HOSTILE
    with typed.opened() as db:
        assert len(run(db, "SELECT * FROM audit")) == 2
