"""`airoxy restore`: a backup comes back, here or on another machine, and a drill harms nobody."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.program import Airoxy

API_KEY = "sk-ant-api-test-one"
LOGIN = ("sk-ant-oat-test-one", "sk-ant-ort-test-one")


@pytest.fixture
def airoxy(install) -> Airoxy:
    """With a key and a token of each type; no server runs."""
    made = install()
    made.client_key = made.key("laptop")
    made.token(API_KEY, name="work")
    made.token(*LOGIN, name="login")
    return made


@pytest.fixture
def backup(airoxy, tmp_path) -> Path:
    path = tmp_path / "backup.db"
    airoxy.cli("backup", str(path))
    return path


def names(airoxy: Airoxy) -> list[str]:
    return [key["name"] for key in airoxy.json("api-key", "list")]


def states(airoxy: Airoxy) -> dict[str, bool]:
    return {token["name"]: token["is_active"] for token in airoxy.json("token", "list")}


def test_what_was_backed_up_is_there_again_and_what_came_later_is_kept_aside(airoxy, backup):
    airoxy.key("later")
    told = airoxy.cli("restore", str(backup))
    assert names(airoxy) == ["laptop"]
    assert states(airoxy) == {"work": True, "login": True}
    assert "1 of its tokens are OAuth tokens" in told
    (kept,) = airoxy.database.parent.glob("airoxy.db.replaced-????????-??????")
    with contextlib.closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT count(*) FROM api_keys").fetchall() == [(2,)]


def test_two_in_one_second_keep_both_databases(airoxy, backup):
    airoxy.key("later")
    begun = datetime.datetime.now(datetime.UTC)
    for second in range(120):  # as if another had just kept its own
        name = f"airoxy.db.replaced-{begun + datetime.timedelta(seconds=second):%Y%m%d-%H%M%S}"
        airoxy.database.with_name(name).write_bytes(b"kept before")
    airoxy.cli("restore", str(backup))
    assert names(airoxy) == ["laptop"]
    (kept,) = airoxy.database.parent.glob("airoxy.db.replaced-*-2")
    with contextlib.closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT count(*) FROM api_keys").fetchall() == [(2,)]


def test_the_log_of_the_old_database_is_not_taken_for_the_new_ones(airoxy, backup):
    with airoxy.opened():  # an open connection leaves its log beside the database
        airoxy.key("later")
        for suffix in ("", "-wal"):
            path = airoxy.database.with_name(airoxy.database.name + suffix)
            shutil.copy(path, path.with_name(f"kept{suffix}"))
    for suffix in ("", "-wal"):
        kept = airoxy.database.with_name(f"kept{suffix}")
        kept.rename(airoxy.database.with_name(airoxy.database.name + suffix))
    airoxy.cli("restore", str(backup))
    assert names(airoxy) == ["laptop"]


def test_a_drill_disables_what_works_once(airoxy, backup):
    told = airoxy.cli("restore", "--drill", str(backup))
    assert "This is a drill: 1 OAuth tokens are disabled" in told
    assert states(airoxy) == {"work": True, "login": False}
    airoxy.cli("job", "refresh-tokens")
    assert airoxy.json("token", "list")[1]["inactive_reason"] == "disabled for a restore drill"


def test_a_drill_never_asks_anthropic_for_a_refresh(airoxy, backup, upstream):
    airoxy.cli("restore", "--drill", str(backup))
    airoxy.start()
    assert airoxy.request("GET", "/v1/models", key=airoxy.client_key).status == 200
    airoxy.cli("token", "refresh")
    assert upstream.refreshes == []


def test_without_the_encryption_key_everything_else_is_served(airoxy, backup, install):
    other = install()
    other.token("sk-ant-api-test-other")  # so that there is another key
    told = other.cli("restore", str(backup))
    assert "2 tokens are encrypted with a key that is not here" in told
    assert names(other) == ["laptop"]
    other.start()
    health = other.request("GET", "/health")
    assert (health.status, "cannot be decrypted" in health.json()["reason"]) == (503, True)
    refused = other.request("GET", "/v1/models", key=airoxy.client_key)
    assert (refused.status, refused.json()["error"]["message"]) == (
        503,
        "No access tokens available",
    )
    assert other.request("GET", "/v1/models", key="ak-wrong").status == 401
    assert "their key cannot be found" in other.errors
    assert "Traceback" not in other.errors


def test_with_the_encryption_key_put_back_the_running_server_uses_the_tokens(
    airoxy, backup, install
):
    other = install()
    other.token("sk-ant-api-test-other")
    other.cli("restore", str(backup))
    other.start()
    shutil.copy(airoxy.database.with_name("token.key"), other.database.with_name("token.key"))
    other.key("any")  # the next change in the database
    assert other.request("GET", "/v1/models", key=airoxy.client_key).status == 200


def damaged(backup: Path) -> str:
    content = bytearray(backup.read_bytes())
    content[4096:8192] = bytes(4096)
    backup.write_bytes(content)
    return "is damaged"


def newer(backup: Path) -> str:
    with contextlib.closing(sqlite3.connect(backup)) as db:
        db.execute("PRAGMA user_version = 999")
    return "was written by a newer airoxy"


def foreign(backup: Path) -> str:
    backup.unlink()
    with contextlib.closing(sqlite3.connect(backup)) as db:
        db.execute("CREATE TABLE x (y)")
    return "is no database of airoxy's"


def nonsense(backup: Path) -> str:
    backup.write_bytes(b"nonsense" * 1000)
    return "is damaged"


def empty(backup: Path) -> str:
    backup.write_bytes(b"")
    return "is damaged"


def gone(backup: Path) -> str:
    backup.unlink()
    return "is not a file"


@pytest.mark.parametrize("harm", [damaged, newer, foreign, nonsense, empty, gone])
def test_what_cannot_be_used_is_refused_and_nothing_changes(airoxy, backup, harm):
    airoxy.key("later")
    reason = harm(backup)
    done = airoxy.run("restore", str(backup))
    assert done.returncode == (2 if harm is gone else 1)
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names(airoxy) == ["laptop", "later"]
    assert not list(airoxy.database.parent.glob("*restored*"))
    assert not list(airoxy.database.parent.glob("*replaced*"))


def test_a_database_that_a_server_has_open_is_not_replaced(airoxy, backup):
    airoxy.start()
    done = airoxy.run("restore", str(backup))
    assert done.returncode == 1
    assert "has it open; stop that first" in done.stderr


def test_the_database_itself_is_no_backup(airoxy):
    done = airoxy.run("restore", str(airoxy.database))
    assert done.returncode == 2
    assert "is the database itself" in done.stderr


def test_a_machine_that_has_no_database_yet_gets_the_backup(airoxy, backup, install):
    fresh = install()
    shutil.copy(airoxy.database.with_name("token.key"), fresh.database.with_name("token.key"))
    told = fresh.cli("restore", str(backup))
    assert "is kept as" not in told
    assert states(fresh) == {"work": True, "login": True}
