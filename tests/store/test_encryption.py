"""Tokens at rest: a copy of the database alone is worth nothing, and no key is lost on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from airoxy.errors import StoreError
from airoxy.store import encryption, key_file, leases, migrations, schema, tokens
from airoxy.store.schema import open_database, run
from tests.program import ROOT, environment
from tests.store.seed import add_login, add_token

SECRETS = (b"sk-ant-oat-test-one", b"sk-ant-ort-test-one", b"sk-ant-api-test-two")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with an OAuth token and an API key, and its key file."""
    path = tmp_path / "airoxy.db"
    with opened(path) as db:
        add_login(db, "one")
        add_token(db, "two")
    return path


@contextlib.contextmanager
def opened(path: Path, key: bytes | None = None) -> Iterator[apsw.Connection]:
    with contextlib.closing(open_database(path, key=key)) as db:
        yield db


def secrets_of(path: Path, key: bytes | None = None) -> list[str]:
    with opened(path, key) as db:
        return [token.secret for token in tokens.usable_tokens(db)]


def stored(path: Path) -> bytes:
    """Every byte of the database and its copies."""
    return b"".join(file.read_bytes() for file in path.parent.glob("airoxy.db*"))


def key_of(path: Path) -> bytes:
    return next(key_file.read_key(path.with_name("token.key")))


def rotate(path: Path) -> bytes:
    """Up to where the new key has to be put in its place."""
    with opened(path) as db:
        turned = encryption.attach(db, path)
        turned.rotate()
        return turned.key()


READABLE = ["sk-ant-oat-test-one", "sk-ant-api-test-two"]


# At rest


def test_no_secret_is_in_the_files(path: Path) -> None:
    assert not any(secret in stored(path) for secret in SECRETS)
    assert secrets_of(path) == READABLE


def test_the_key_file_is_its_owners_alone_and_not_named_like_the_database(path: Path) -> None:
    file = path.with_name("token.key")
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == ["airoxy.db", "token.key"]


def test_there_is_no_key_before_there_is_a_token(tmp_path: Path) -> None:
    with opened(tmp_path / "airoxy.db") as db:
        assert tokens.list_tokens(db, 0) == tokens.usable_tokens(db) == []
    assert not (tmp_path / "token.key").exists()


def test_equal_secrets_look_different_and_a_refreshed_pair_is_sealed_too(path: Path) -> None:
    with opened(path) as db:
        assert run(db, "SELECT seal('x') = seal('x'), fingerprint('x') = fingerprint('x')") == [
            (0, 1)
        ]
        leases.store_refreshed(db, 1, "sk-ant-ort-test-one", "sk-ant-new", "sk-ant-ort-n", 9, 0)
        assert run(db, "SELECT substr(token, 1, 7), unseal(refresh_token) FROM tokens") == [
            ("sealed:", "sk-ant-ort-n"),
            ("sealed:", None),
        ]
        assert tokens.by_refresh_token(db, "sk-ant-ort-n") == (1, "one")
    assert b"sk-ant-new" not in stored(path)


def test_systemds_credential_is_the_key_and_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / encryption.CREDENTIAL).write_text("ab" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    path = tmp_path / "airoxy.db"
    with opened(path) as db:
        add_token(db, "two")
    assert not path.with_name("token.key").exists()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert secrets_of(path, bytes.fromhex("ab" * 32)) == ["sk-ant-api-test-two"]
    with pytest.raises(StoreError):
        secrets_of(path)


def test_many_who_store_the_first_token_at_once_make_one_key(tmp_path: Path) -> None:
    path = tmp_path / "airoxy.db"
    open_database(path).close()
    barrier = threading.Barrier(4)

    def add(name: str) -> None:
        with opened(path) as db:
            barrier.wait()
            add_token(db, name)

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets_of(path)) == 4


def test_a_connection_that_nobody_holds_is_closed(path: Path) -> None:
    """And its files are put in order; a command leaves it to Python."""
    assert tokens.usable_tokens(open_database(path))
    assert not list(path.parent.glob("airoxy.db-*"))


# Without the key


@pytest.mark.parametrize("instead", [None, "ab" * 32, "no key"])
def test_without_the_key_one_sentence_says_what_to_do_and_nothing_is_lost(
    path: Path, instead: str | None
) -> None:
    file = path.with_name("token.key")
    kept = file.read_text()
    if instead is None:
        file.unlink()
    else:
        file.write_text(instead)
    with opened(path) as db:
        for use in (
            tokens.usable_tokens,
            leases.refreshing,
            lambda db: add_token(db, "three"),
            lambda db: leases.lease_refresh(db, 1, 0, 60, 1),
        ):
            with pytest.raises(StoreError, match=r"Put it back; or, if it is lost, remove the"):
                use(db)
        assert [row["is_readable"] for row in tokens.list_tokens(db, 0)] == [False, False]
        assert tokens.list_tokens(db, 0)[0]["masked"] == "sk-ant-o…-one"
    file.write_text(kept)
    assert secrets_of(path) == READABLE


def test_when_the_lost_keys_tokens_are_removed_new_ones_get_a_new_key(path: Path) -> None:
    path.with_name("token.key").unlink()
    with opened(path) as db:
        tokens.remove_token(db, 1, 0)
        tokens.remove_token(db, 2, 0)
        add_token(db, "three")
    assert secrets_of(path) == ["sk-ant-api-test-three"]


def test_a_token_that_is_damaged_keeps_no_other_from_being_used(path: Path) -> None:
    with opened(path) as db:
        run(db, "UPDATE tokens SET token = 'sealed:' || 'AAAA' WHERE id = 1")
        assert [token.id for token in tokens.usable_tokens(db)] == [2]
        assert leases.refreshing(db) == []
        encryption.attach(db, path).rotate()
        assert run(db, "SELECT token FROM tokens WHERE id = 1") == [("sealed:AAAA",)]


# Changing the key


def test_until_the_change_is_finished_either_key_opens_and_then_the_new_one_alone(
    path: Path,
) -> None:
    old, before = key_of(path), stored(path)
    new = rotate(path)
    assert new != old
    assert secrets_of(path) == READABLE  # the file has the old one
    with opened(path) as db:
        assert leases.store_refreshed(
            db, 1, "sk-ant-ort-test-one", "sk-ant-x", "sk-ant-ort-x", 9, 0
        )
    key_file.write_key_file(path.with_name("token.key"), new)
    assert secrets_of(path) == ["sk-ant-x", "sk-ant-api-test-two"]
    with opened(path) as db:
        assert encryption.attach(db, path).finish()
    assert secrets_of(path) == ["sk-ant-x", "sk-ant-api-test-two"]
    assert stored(path) != before
    key_file.write_key_file(path.with_name("token.key"), old)
    with pytest.raises(StoreError):
        secrets_of(path)


def test_who_has_the_database_open_meanwhile_notices_nothing(path: Path) -> None:
    with opened(path) as db:
        assert len(tokens.usable_tokens(db)) == 2
        rotate(path)
        generation = schema.generation(db)
        assert [token.secret for token in tokens.usable_tokens(db)] == READABLE
        assert tokens.by_refresh_token(db, "sk-ant-ort-test-one") == (1, "one")
        tokens.deactivate(db, 2, "said 401", "sk-ant-api-test-two", 5)
        assert schema.generation(db) > generation
        assert len(tokens.usable_tokens(db)) == 1


def test_a_change_that_was_broken_off_is_gone_on_with(path: Path) -> None:
    assert rotate(path) == rotate(path)


def test_a_refresh_that_may_have_only_the_old_key_is_waited_for(path: Path) -> None:
    rotate(path)
    with opened(path) as db:
        leases.lease_refresh(db, 1, 4e9, 60, os.getpid())
        turned = encryption.attach(db, path)
        assert not turned.finish()
        leases.return_lease(db, 1, os.getpid())
        assert turned.finish()


_KILLED = """
import os, sys
from pathlib import Path
from airoxy.cli import main
from airoxy.store import encryption, key_file
die = lambda *_: os.kill(os.getpid(), 9)
at = sys.argv[1]
if at == "before":
    encryption.Encryption.rotate = die
elif at == "inside":
    seal, count = encryption.encrypt, [0]
    def dying(*given):
        count[0] += 1
        die() if count[0] == 3 else None
        return seal(*given)
    encryption.encrypt = dying
elif at == "committed":
    key_file.write_key_file = die
elif at == "written":
    Path.replace = die
elif at == "replaced":
    encryption.Encryption.finish = die
sys.exit(main(["--config", sys.argv[2], "token", "rotate-key"]))
"""


@pytest.mark.parametrize("at", ["before", "inside", "committed", "written", "replaced"])
def test_a_change_that_is_killed_anywhere_leaves_everything_readable(path: Path, at: str) -> None:
    config = path.with_name("airoxy.yaml")
    config.write_text(f"database: {path}\n")
    words = [str(config), "token", "rotate-key"]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, at, str(config)], cwd=ROOT, env=environment()
    )
    assert killed.returncode == -signal.SIGKILL
    assert secrets_of(path) == READABLE
    old = key_of(path)
    again = [sys.executable, "-m", "airoxy", "--config", *words]
    subprocess.run(again, cwd=ROOT, env=environment(), check=True, capture_output=True)
    assert secrets_of(path) == READABLE
    with opened(path) as db:
        assert run(db, "SELECT handed_on FROM token_key") == [(None,)]
    assert at == "replaced" or key_of(path) != old


# Databases from before


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of the version before, where tokens were in plain text."""
    path = tmp_path / "airoxy.db"
    with monkeypatch.context() as patch:
        patch.setattr(
            migrations, "MIGRATIONS", migrations.MIGRATIONS[: migrations.SEALED_SINCE - 1]
        )
        with opened(path) as db:
            run(
                db,
                "INSERT INTO tokens (name, type, token, refresh_token, created_at, removed_at)"
                " VALUES ('one', 'oauth', 'sk-ant-oat-test-one', 'sk-ant-ort-test-one', 0, NULL),"
                " ('two', 'api_key', 'sk-ant-api-test-two', NULL, 0, NULL),"
                " ('gone', 'api_key', NULL, NULL, 0, 5)",
            )
    assert SECRETS[0] in stored(path)
    return path


def test_plain_tokens_are_sealed_by_the_migration_and_in_the_copy_it_leaves(plain: Path) -> None:
    assert secrets_of(plain) == READABLE
    assert list(plain.parent.glob("*.before-*"))
    assert not any(secret in stored(plain) for secret in SECRETS)
    with opened(plain) as db:
        assert tokens.by_refresh_token(db, "sk-ant-ort-test-one") == (1, "one")
        listed = tokens.list_tokens(db, 0)
        assert [row["masked"] for row in listed] == ["sk-ant-o…-one", "sk-ant-a…-two"]


def test_the_copy_serves_in_the_place_of_the_database(plain: Path) -> None:
    secrets_of(plain)
    (copy,) = plain.parent.glob("*.before-*")
    for beside in plain.parent.glob("airoxy.db-*"):
        beside.unlink()
    copy.replace(plain)
    assert secrets_of(plain) == READABLE
    with opened(plain) as db:
        assert tokens.list_tokens(db, 0)[0]["masked"] == "sk-ant-o…-one"


@pytest.mark.parametrize("key_is_there", [True, False])
def test_masks_of_before_are_made_anew_where_the_key_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_is_there: bool
) -> None:
    path = tmp_path / "airoxy.db"
    step = migrations.MIGRATIONS.index(migrations._MASKS)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:step])
        with opened(path) as db:
            secret = "sk-ant-api03-" + "test-" * 18 + "xyAA"
            tokens.add_token(db, name="one", type="api_key", token=secret, refresh_token=None,
                             expires_at=None, now=0)  # fmt: skip
            run(db, "UPDATE tokens SET masked = 'sk-ant-a…xyAA'")
    if not key_is_there:
        path.with_name("token.key").unlink()
    with opened(path) as db:
        (row,) = tokens.list_tokens(db, 0)
    assert row["masked"] == ("sk-ant-api03-tes…xyAA" if key_is_there else "sk-ant-a…xyAA")


# What it costs


def test_the_list_needs_no_cryptography(path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom airoxy.store import schema, tokens\n"
        f"db = schema.open_database(Path({str(path)!r}))\n"
        "assert tokens.list_tokens(db, 0)[0]['is_readable']\n"
        "print('cryptography' in sys.modules)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert told.stdout == "False\n", told.stderr
