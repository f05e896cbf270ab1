"""`airoxy backup`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.cli.system import credential
from airoxy.errors import Conflict, InvalidInput, StoreError
from airoxy.store import tokens
from airoxy.store.file import backup
from airoxy.store.schema import open_database, run
from airoxy.store.usage import requests
from airoxy.views.times import rfc3339
from tests.cli.terminal import Typed
from tests.conftest import Clock
from tests.program import PYTHON, ROOT, Airoxy, environment
from tests.store.seed import add_key, add_token, append, row


@pytest.fixture
def typed(
    db: apsw.Connection, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Typed:
    monkeypatch.setattr(credential, "SEALED_KEY", tmp_path / "airoxy-token-key")
    add_key(db, "alice")
    return Typed(Path(db.filename), clock)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "backups"
    directory.mkdir()
    return directory / "copy.db"


def logged(path: Path) -> int:
    with closing(open_database(path)) as copy:
        return int(requests.totals(copy)["requests"])


def test_the_copy_is_the_database_in_one_file(
    db: apsw.Connection, typed: Typed, target: Path
) -> None:
    append(db, row(), row())
    told = typed("backup", str(target))
    told = re.sub(r"\d\.\d MB", "… MB", told)
    assert told.startswith(f"{target}: everything up to 2026-11-22 12:00 UTC, … MB, checked.\n")
    assert os.listdir(target.parent) == [target.name]
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.stat().st_uid == os.geteuid()
    with closing(open_database(target)) as copy:
        assert run(copy, "SELECT name FROM api_keys") == [("alice",)]
        assert requests.totals(copy) == requests.totals(db)
        assert run(copy, "PRAGMA auto_vacuum") == run(db, "PRAGMA auto_vacuum")


def test_json_says_what_there_is(typed: Typed, target: Path, clock: Clock) -> None:
    told = json.loads(typed("backup", str(target), "--json"))
    size = target.stat().st_size
    assert told == {"file": str(target), "bytes": size, "taken_at": rfc3339(clock.now), "key": None}


def test_where_the_key_to_the_tokens_is_is_said(
    db: apsw.Connection, typed: Typed, target: Path
) -> None:
    assert "sealed" not in typed("backup", str(target))
    add_token(db, "console")
    key = Path(db.filename).with_name("token.key")
    assert f"the key is not in it, but in {key}." in typed("backup", str(target), "--force")
    credential.SEALED_KEY.touch()
    told = typed.json("backup", str(target), "--force")
    assert told["key"] == str(credential.SEALED_KEY)


def test_with_its_key_the_tokens_can_be_read_again(
    db: apsw.Connection, typed: Typed, target: Path, clock: Clock
) -> None:
    add_token(db, "console")
    typed("backup", str(target))
    with closing(open_database(target)) as copy:
        assert not tokens.list_tokens(copy, clock.now)[0]["is_readable"]
    shutil.copy(Path(db.filename).with_name("token.key"), target.parent)
    with closing(open_database(target)) as copy:
        assert tokens.usable_tokens(copy)[0].secret == "sk-ant-api-test-console"


def test_who_writes_meanwhile_never_waits_and_the_copy_is_of_one_moment(
    db: apsw.Connection, typed: Typed, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit between any two steps; SQLite would begin anew with each."""
    append(db, *[row(error_message="x" * 900)] * 3000)
    expected = requests.totals(db)["requests"]
    monkeypatch.setattr(backup, "_STEP", 10)
    stop, failed, written = threading.Event(), [], 0

    def write() -> None:
        nonlocal written
        with closing(open_database(Path(db.filename))) as other:
            other.setbusytimeout(0)
            while not stop.is_set():
                try:
                    append(other, row())
                    written += 1
                except apsw.Error as error:
                    failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while not written:
            pass
        first = expected + written
        typed("backup", str(target))
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert first <= logged(target) <= expected + written
    with closing(open_database(target)) as copy:
        assert run(copy, "SELECT count(*) FROM requests")[0][0] == logged(target)


def test_what_is_committed_after_its_moment_is_not_in_the_copy(
    db: apsw.Connection, target: Path
) -> None:
    append(db, row())
    with closing(backup.open_source(Path(db.filename))) as source:
        append(db, row())
        backup.write_copy(source, target, replace=False)
    assert logged(target) == 1


def test_what_is_there_is_only_replaced_by_force(typed: Typed, target: Path) -> None:
    target.write_text("dear")
    with pytest.raises(Conflict, match="--force"):
        typed("backup", str(target))
    assert target.read_text() == "dear"
    typed("backup", str(target), "--force")
    assert logged(target) == 0
    assert target.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_meant_is_refused(db: apsw.Connection, typed: Typed, target: Path) -> None:
    for name in (str(target.parent), str(target.parent / "no" / "copy.db"), "/dev/null"):
        with pytest.raises(InvalidInput):
            typed("backup", name, "--force")
    with pytest.raises(InvalidInput, match="database itself"):
        typed("backup", db.filename, "--force")
    assert os.listdir(target.parent) == []


def test_a_damaged_database_leaves_no_copy(db: apsw.Connection, typed: Typed, target: Path) -> None:
    append(db, *[row(error_message="x" * 900)] * 300)
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    path = typed.config.with_name("airoxy.db")
    data = bytearray(path.read_bytes())
    data[-8192 * 4 : -8192 * 3] = b"\xff" * 8192
    path.write_bytes(data)
    with pytest.raises((StoreError, apsw.CorruptError)):
        typed("backup", str(target))
    assert os.listdir(target.parent) == []


def test_another_one_that_is_being_made_is_not_disturbed(typed: Typed, target: Path) -> None:
    other = target.with_name("copy.db.unfinished")
    other.touch()
    with pytest.raises(Conflict, match="another backup"):
        typed("backup", str(target))
    assert os.listdir(target.parent) == [other.name]


def test_killed_in_the_middle_there_is_no_copy(
    db: apsw.Connection, typed: Typed, target: Path
) -> None:
    append(db, row())
    script = (
        "import os, signal, sys\n"
        "from airoxy import files\n"
        "files.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from airoxy.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", script, "--config", str(typed.config), "backup", str(target)]
    done = subprocess.run(command, cwd=ROOT, env=environment())
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(target.parent) == ["copy.db.unfinished"]
    assert (target.parent / "copy.db.unfinished").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_has_the_copy_and_the_service_its_files(
    db: apsw.Connection, typed: Typed, tmp_path: Path
) -> None:
    db.close()
    encryption = tmp_path / "vault"
    encryption.mkdir(mode=0o700)
    with tempfile.TemporaryDirectory() as home:  # pytest's own are for root alone
        path = Path(home) / "airoxy.db"
        with closing(open_database(path)) as other:
            append(other, row())
        typed.config.write_text(json.dumps({"database": str(path)}))
        for place in (home, path):
            os.chown(place, 65534, 65534)
        command = [PYTHON, "-m", "airoxy", "--config", str(typed.config), "backup"]
        subprocess.run([*command, encryption / "copy.db"], cwd=ROOT, env=environment(), check=True)
        assert {file.stat().st_uid for file in Path(home).iterdir()} == {65534}
    assert (encryption / "copy.db").stat().st_uid == 0
    assert logged(encryption / "copy.db") == 1


def test_a_running_service_goes_on_from_its_backup(airoxy: Airoxy, target: Path) -> None:
    """What the operators' guide says: stop, put it in place, start."""
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    asked = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": []}
    assert airoxy.request("POST", "/v1/messages", asked, key=key).status == 200
    airoxy.wait_logs(1)
    airoxy.cli("backup", str(target))
    airoxy.cli("api-key", "remove", "1")
    airoxy.stop()
    for file in airoxy.database.parent.glob("airoxy.db*"):
        file.unlink()
    airoxy.database.write_bytes(target.read_bytes())
    airoxy.start()
    assert airoxy.request("POST", "/v1/messages", asked, key=key).status == 200
    assert len(airoxy.wait_logs(2)) == 2
