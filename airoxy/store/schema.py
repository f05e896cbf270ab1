"""Opening the database: one SQLite file in WAL mode, brought to the present shape.

Invariant: service, commands and package upgrades open it here. A file that is damaged, newer or not
airoxy's is refused with a remedy, and never replaced. After that SQLite's own errors are left as
they are, so that a writer can tell which of them pass; `explain` makes a sentence of one.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from airoxy.errors import StoreError
from airoxy.store import encryption, migrations
from airoxy.store.audit import triggers as audit
from airoxy.store.file.access import explain, forbidden, make_file, writable
from airoxy.store.file.backup import back_up
from airoxy.store.usage import triggers

#: "airo", by which another program's database is recognised.
APPLICATION_ID = 0x6169726F
#: How long a lock is waited for (milliseconds).
BUSY_TIMEOUT_MS = 5000
#: How long it is waited for by who would migrate the database: another one may be at it, and leaves
#: no room between its steps. Workers are given a little longer to start (milliseconds).
MIGRATING_TIMEOUT_MS = 50_000

# Deleted pages can be given back to the disk. Must be set before the first table is made.
_LAYOUT = "PRAGMA auto_vacuum = INCREMENTAL"
# NORMAL: a commit waits for no disk. A power cut can cost the last moments, never consistency.
# FAST: the secrets of a removed token are overwritten, for no further writing.
# The limit: a log that a long reader made grow is cut again.
_SETTINGS = """
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = FAST;
PRAGMA journal_size_limit = 16777216;
PRAGMA temp_store = MEMORY;
"""


# SQLite counts its memory under a lock, and nobody asks. Newer versions of apsw begin to use SQLite
# with their import, when it is too late.
with contextlib.suppress(apsw.MisuseError):
    apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, False)


def open_database(
    path: Path,
    *,
    create: bool = True,
    readonly: bool = False,
    key: bytes | None = None,
    locked: bool = True,
) -> apsw.Connection:
    """The database at `path`, migrated; made (mode 0600) if it is missing and `create` is set.

    `key` is one to try for the tokens (see `airoxy.store.encryption`). Without being `locked` it
    can only be used by one thread at a time, a little faster. Raises StoreError. A reader does not
    migrate: it refuses a database that needs it.
    """
    path = path.absolute()
    try:
        if create and not readonly:
            make_file(path)
        db = _connect(path, readonly=readonly, locked=locked)
        try:
            encryption.attach(db, path, key)
            _prepare(db, path, readonly)
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise explain(path, error) from error
    return db


def _connect(path: Path, *, readonly: bool, locked: bool) -> apsw.Connection:
    """Who may not make the files beside it reads a database that nobody has open as it is."""
    flags = 0 if locked else apsw.SQLITE_OPEN_NOMUTEX
    if not readonly:
        return apsw.Connection(os.fspath(path), apsw.SQLITE_OPEN_READWRITE | flags)
    flags |= apsw.SQLITE_OPEN_READONLY
    if path.with_name(f"{path.name}-wal").exists() or writable(path.parent):
        return apsw.Connection(os.fspath(path), flags)
    name = f"file:{quote(os.fspath(path))}?immutable=1"
    return apsw.Connection(name, flags | apsw.SQLITE_OPEN_URI)


def run(db: apsw.Connection, sql: str, bindings: Any = ()) -> list[Any]:
    """Execute `sql` to its end; the rows it gives."""
    return db.cursor().execute(sql, bindings).fetchall()


#: What some connections call before they commit.
_AGREEMENTS: weakref.WeakKeyDictionary[apsw.Connection, Callable[[], None]] = (
    weakref.WeakKeyDictionary()
)


def before_commit(db: apsw.Connection, agree: Callable[[], None]) -> None:
    """Have `transaction` call this before it commits; where it raises, nothing is committed."""
    _AGREEMENTS[db] = agree


@contextlib.contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """All or nothing, with the write lock from the start; within another one, a part of that."""
    if not db.getautocommit():
        yield
        return
    run(db, "BEGIN IMMEDIATE")
    try:
        yield
        if _AGREEMENTS and (agree := _AGREEMENTS.get(db)):
            agree()
        run(db, "COMMIT")
    except BaseException:
        # SQLite itself rolls back where the disk is full.
        if not db.getautocommit():
            run(db, "ROLLBACK")
        raise


@contextlib.contextmanager
def snapshot(db: apsw.Connection) -> Iterator[None]:
    """Everything read inside is of one moment."""
    run(db, "BEGIN")
    try:
        yield
    finally:
        run(db, "ROLLBACK")


def data_version(db: apsw.Connection) -> int:
    """Differs from the last call's if another connection has committed since.

    By PRAGMA: apsw's own data_version() misses that.
    """
    return int(run(db, "PRAGMA data_version")[0][0])


def generation(db: apsw.Connection) -> int:
    """Rises when keys, tokens or groups change in what the request path reads of them."""
    return int(run(db, "SELECT generation FROM meta")[0][0])


def changes_since(db: apsw.Connection, last: int) -> tuple[int, dict[str, list[int]]]:
    """The keys, tokens and groups that have changed after change number `last`, and the tokens
    whose cooldowns another host has changed, by their tables; and the number of the last change."""
    changed: dict[str, list[int]] = {"api_keys": [], "tokens": [], "groups": [], "cooldowns": []}
    for number, table, row in run(
        db, "SELECT id, kind, changed FROM changes WHERE id > ? ORDER BY id", (last,)
    ):
        changed[table].append(row)
        last = number
    return last, changed


def last_change(db: apsw.Connection) -> int:
    """The number of the last change; see `changes_since`."""
    return int(run(db, "SELECT ifnull(max(id), 0) FROM changes")[0][0])


def among(ids: Collection[int] | None) -> str:
    """A condition on the column `id`; None is no condition."""
    return "TRUE" if ids is None else f"id IN ({', '.join(map(str, map(int, ids)))})"


def page_size(db: apsw.Connection) -> int:
    """In bytes."""
    return int(run(db, "PRAGMA page_size")[0][0])


def shrink(db: apsw.Connection, most: int) -> int:
    """Give at most `most` free pages back to the disk; how many it were.

    Half as many as are in use stay: the next days want them, and moving pages costs writing.
    """
    free = run(db, "PRAGMA freelist_count")[0][0]
    used = run(db, "PRAGMA page_count")[0][0] - free
    spare = min(most, free - used // 2)
    if spare <= 0:
        return 0
    run(db, f"PRAGMA incremental_vacuum({spare})")
    return int(spare)


def _prepare(db: apsw.Connection, path: Path, readonly: bool) -> None:
    run(db, f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    version = _recognise(db, path)
    is_current = version == len(migrations.MIGRATIONS)
    if not readonly:
        if db.readonly("main"):
            raise forbidden(path)
        if not is_current:
            run(db, f"PRAGMA busy_timeout = {MIGRATING_TIMEOUT_MS}")
        # Asking costs nothing; setting it again would wait for the write lock.
        if not version or run(db, "PRAGMA journal_mode")[0][0] != "wal":
            _into_wal(db)
    run(db, _SETTINGS)
    if is_current:
        return
    if readonly:
        raise StoreError(f"{path} is older than this airoxy: restart the service first.")
    _migrate(db, path)
    run(db, f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def _recognise(db: apsw.Connection, path: Path) -> int:
    """The database's version; 0 is an empty one."""
    ((application, version, tables),) = run(
        db,
        "SELECT (SELECT application_id FROM pragma_application_id),"
        " (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)",
    )
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(
            f"{path} is another program's database; set `database` to a path of airoxy's own."
        )
    known = len(migrations.MIGRATIONS)
    if version > known:
        raise StoreError(
            f"{path} was written by a newer airoxy (version {version}, this one knows {known}); "
            f"upgrade airoxy, or put a backup in its place ({path.name}.before-{known + 1})."
        )
    return int(version)


def _into_wal(db: apsw.Connection) -> None:
    """Write-ahead logging, where readers and the writer do not wait for each other."""
    run(db, _LAYOUT)
    deadline = time.monotonic() + MIGRATING_TIMEOUT_MS / 1000
    while True:
        try:
            run(db, "PRAGMA journal_mode = WAL")
            return
        except apsw.BusyError:
            # Somebody else is just making the same database; SQLite does not wait in this case.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _migrate(db: apsw.Connection, path: Path) -> None:
    """Step by step, each in its transaction; a copy of what there was is kept first."""
    steps = migrations.MIGRATIONS
    met: int | None = None
    copy: Path | None = None
    while True:
        with transaction(db):
            # Under the lock: another process may have been quicker.
            version = _recognise(db, path)
            if version == len(steps):
                break
            met = version if met is None else met
            if met and not copy:
                copy = back_up(path, len(steps))
            run(db, "PRAGMA secure_delete = ON")
            run(db, steps[version])
            if version + 1 >= migrations.DERIVED_SINCE:
                triggers.derive(db)
            if version + 1 >= migrations.AUDITED_SINCE:
                audit.derive(db)
            if copy and version + 1 == migrations.SEALED_SINCE:
                _encrypt_copy(db, copy)
            run(db, f"PRAGMA application_id = {APPLICATION_ID}")
            run(db, f"PRAGMA user_version = {version + 1}")
    run(db, _SETTINGS)
    if copy:
        # The plain text of what was encrypted must be gone from the file now, not some day.
        run(db, "PRAGMA wal_checkpoint(TRUNCATE)")


def _encrypt_copy(db: apsw.Connection, path: Path) -> None:
    """The tokens in the copy that was made before `db` encrypted its own."""
    copy = apsw.Connection(os.fspath(path), apsw.SQLITE_OPEN_READWRITE)
    try:
        for number, *plain in run(copy, "SELECT id, token, refresh_token FROM tokens"):
            sealed = run(db, "SELECT seal(?), seal(?)", plain)[0]
            run(
                copy,
                "UPDATE tokens SET token = ?, refresh_token = ? WHERE id = ?",
                (*sealed, number),
            )
        run(copy, "VACUUM")
    finally:
        copy.close()
