"""Opening the database, and what becomes of a file that cannot be it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from airoxy.errors import StoreError
from airoxy.store import schema
from airoxy.store.file.access import explain
from airoxy.store.schema import open_database, run, transaction
from tests.program import ROOT
from tests.store.seed import add_key, add_token, append, row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "airoxy.db"


@pytest.fixture
def other(db: apsw.Connection) -> Iterator[apsw.Connection]:
    """Another connection to the same database."""
    connection = open_database(Path(db.filename))
    yield connection
    connection.close()


def refusal(path: Path, **how: bool) -> str:
    """The sentence with which `path` is refused."""
    with pytest.raises(StoreError) as raised:
        open_database(path, **how).close()
    assert "\n" not in raised.value.message
    return raised.value.message


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's privileges, if we have them."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# A new one


def test_a_new_database_can_be_read_by_its_owner_alone(path: Path) -> None:
    db = open_database(path)
    add_key(db, "one")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    db.close()


def test_a_new_database_has_the_settings_that_speed_and_safety_need(db: apsw.Connection) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 1,
        "busy_timeout": 5000,
        "foreign_keys": 1,
        "auto_vacuum": 2,
        "secure_delete": 2,
        "application_id": 0x6169726F,
    }
    assert {name: run(db, f"PRAGMA {name}")[0][0] for name in wanted} == wanted


def test_many_may_open_a_new_database_at_once(path: Path) -> None:
    code = "import sys, pathlib; from airoxy.store.schema import open_database; sys.stdin.read();"
    code += "open_database(pathlib.Path(sys.argv[1])).close()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, path],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(6)
    ]
    for process in started:
        assert process.stdin
        process.stdin.close()
    for process in started:
        assert process.stderr
        with process.stderr as stderr:
            told = stderr.read().decode()
        assert process.wait() == 0, told
    open_database(path, create=False).close()


def test_a_database_is_made_only_where_that_is_wanted(path: Path) -> None:
    assert f"no database {path}" in refusal(path, create=False)
    assert f"no database {path}" in refusal(path, readonly=True)
    assert not path.exists()


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    open_database(path).close()


def test_a_name_that_looks_like_a_uri_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_database(Path("file:odd?mode=memory")).close()
    assert (tmp_path / "file:odd?mode=memory").stat().st_size


# One that cannot be used


@pytest.mark.parametrize(
    "content",
    [
        b"not a database at all, but long enough to look at" * 100,
        b"SQLite format 3\0" + b"\xff" * 5000,
    ],
)
def test_what_is_not_a_database_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    told = refusal(path)
    assert str(path) in told
    assert "airoxy doctor" in told
    assert path.read_bytes() == content


@pytest.mark.parametrize("end", [100, 3000, 5000, 20000])
def test_a_database_that_was_cut_off_is_refused(path: Path, end: int) -> None:
    open_database(path).close()
    content = path.read_bytes()[:end]
    path.write_bytes(content)
    assert f"{path} is damaged" in refusal(path)
    assert path.read_bytes() == content


def test_the_way_out_of_damage_names_the_backup(path: Path) -> None:
    path.write_bytes(b"\1" * 5000)
    backup = path.with_name("airoxy.db.before-2")
    backup.touch()
    assert str(backup) in refusal(path)


def test_another_programs_database_is_refused(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE cats (name)")
    assert "another program's database" in refusal(path)


def test_a_newer_database_is_refused(path: Path) -> None:
    with contextlib.closing(open_database(path)) as db:
        run(db, "PRAGMA user_version = 99")
    assert "newer airoxy (version 99" in refusal(path)
    assert "newer airoxy" in refusal(path, readonly=True)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path}/none does not exist" in refusal(tmp_path / "none" / "airoxy.db")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_who_may_not_read_the_directory_is_told_to_use_sudo(path: Path) -> None:
    open_database(path).close()
    path.parent.chmod(0)
    try:
        with as_nobody():
            assert "use sudo" in refusal(path)
            assert "use sudo" in refusal(path, create=False)
    finally:
        path.parent.chmod(0o700)


@pytest.mark.parametrize("exists", [False, True])
def test_where_the_sandbox_lets_nothing_be_written_the_way_out_is_named(
    path: Path, exists: bool
) -> None:
    """As in a service of systemd's with ProtectSystem=strict."""
    if os.geteuid():
        pytest.skip("needs root, to mount")
    if exists:
        open_database(path).close()
    mount = f"mount --bind {path.parent} {path.parent}"
    script = "import sys; from tests.store.test_schema import refusal, Path\n"
    script += "print(refusal(Path(sys.argv[1])))"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c",
         f'{mount} && {mount} -o remount,ro,bind && exec "$@"',
         "sh", sys.executable, "-c", script, str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"ReadWritePaths={path.parent}" in done.stdout, done.stderr


def test_who_may_only_read_is_told_to_use_sudo() -> None:
    if os.geteuid():
        pytest.skip("needs root, to be somebody else than the owner")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "airoxy.db")
        open_database(path).close()
        path.parent.chmod(0o755)
        path.chmod(0o644)
        with as_nobody():
            assert "may not be written; use sudo" in refusal(path)


# Reading


def test_a_reader_sees_and_cannot_write(db: apsw.Connection) -> None:
    add_key(db, "one")
    reader = open_database(Path(db.filename), readonly=True)
    assert run(reader, "SELECT name FROM api_keys") == [("one",)]
    with pytest.raises(apsw.ReadOnlyError):
        run(reader, "DELETE FROM api_keys")
    reader.close()


def test_a_reader_does_not_wait_for_a_writer(db: apsw.Connection, other: apsw.Connection) -> None:
    with transaction(db):
        run(db, "UPDATE meta SET generation = 7")
        assert schema.generation(other) == 0
    assert schema.generation(other) == 7


# Transactions


def test_a_transaction_is_all_or_nothing(db: apsw.Connection) -> None:
    def add_and_fail() -> None:
        with transaction(db):
            add_key(db, "one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_and_fail()
    assert run(db, "SELECT * FROM api_keys") == []
    add_key(db, "one")


def test_a_transaction_within_another_is_a_part_of_it(db: apsw.Connection) -> None:
    def add_and_fail() -> None:
        with transaction(db):
            with transaction(db):
                add_key(db, "one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_and_fail()
    assert run(db, "SELECT * FROM api_keys") == []


def test_a_full_disk_leaves_nothing_half_done(db: apsw.Connection) -> None:
    pages = run(db, "PRAGMA page_count")[0][0]
    run(db, f"PRAGMA max_page_count = {pages}")
    with pytest.raises(apsw.FullError) as raised:
        append(db, *[row()] * 1000)
    assert "make room" in explain(Path(db.filename), raised.value).message
    run(db, "PRAGMA max_page_count = 100000")
    assert (
        run(db, "SELECT count(*) FROM requests") == run(db, "SELECT count(*) FROM daily") == [(0,)]
    )
    append(db, row())


def test_a_lock_is_explained(db: apsw.Connection, other: apsw.Connection) -> None:
    other.setbusytimeout(0)
    with transaction(db), pytest.raises(apsw.BusyError) as raised:
        add_key(other, "one")
    assert "locked by another program" in explain(Path(db.filename), raised.value).message


# What the request path asks


def test_only_anothers_commit_changes_the_data_version(
    db: apsw.Connection, other: apsw.Connection
) -> None:
    seen = schema.data_version(db)
    add_key(db, "one")
    assert schema.data_version(db) == seen
    add_key(other, "two")
    assert schema.data_version(db) != seen


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO api_keys (name, masked, created_at) VALUES ('two', '…', 0)",
        "UPDATE api_keys SET is_active = 0",
        "UPDATE api_keys SET digest = NULL, removed_at = 1",
        "DELETE FROM api_keys",
        "UPDATE api_keys SET spend_per_day_nanousd = 1",
        "UPDATE api_keys SET models = 'claude-*'",
        "UPDATE api_keys SET expires_at = NULL",
        "INSERT INTO tokens (name, type, created_at) VALUES ('two', 'oauth', 0)",
        "UPDATE tokens SET is_active = 0",
        "UPDATE tokens SET token = 'new', expires_at = 1",
        "UPDATE tokens SET reset_at = 1",
        "UPDATE tokens SET removed_at = 1",
        "DELETE FROM tokens",
    ],
)
def test_what_the_request_path_reads_raises_the_generation(
    db: apsw.Connection, change: str
) -> None:
    add_key(db, "one")
    add_token(db, "one")
    before = schema.generation(db)
    run(db, change)
    assert schema.generation(db) > before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tokens SET last_used_at = 1",
        "UPDATE tokens SET refreshing_until = 1, refresh_failures = 1, retry_refresh_at = 1",
        "INSERT INTO cooldowns VALUES (1, '*', '*', 1, 'limit', 1)",
        "INSERT INTO resources (id, token_id, created_at) VALUES ('file_one', 1, 0)",
    ],
)
def test_what_it_does_not_read_leaves_the_generation(db: apsw.Connection, change: str) -> None:
    add_token(db, "one")
    before = schema.generation(db)
    run(db, change)
    append(db, row())
    assert schema.generation(db) == before


def test_half_as_many_free_pages_as_are_in_use_are_kept(db: apsw.Connection) -> None:
    append(db, *[row()] * 5000)
    run(db, "DELETE FROM requests")
    before = run(db, "PRAGMA page_count")[0][0]
    assert schema.shrink(db, 10) == 10
    assert run(db, "PRAGMA page_count")[0][0] == before - 10
    while schema.shrink(db, 1000):
        pass
    free, pages = (run(db, f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_count"))
    assert free == (pages - free) // 2
