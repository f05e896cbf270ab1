"""A PostgreSQL of the tests' own: in a directory of its own, on a Unix socket, as another user than
root, which PostgreSQL refuses. It is the newest that is installed; AIROXY_TEST_POSTGRESQL=15 names
another."""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROLE = "airoxy_role"


class Cluster:
    """One server. `url(name)` is that of a database in which ROLE owns one schema and no more."""

    def __init__(self) -> None:
        pytest.importorskip("psycopg2", reason="python3-psycopg2 is not installed")
        wanted = os.environ.get("AIROXY_TEST_POSTGRESQL", "*")
        found = sorted(Path("/usr/lib/postgresql").glob(f"{wanted}/bin/initdb"), key=_version)
        if not found:
            pytest.skip(f"postgresql {wanted} is not installed".replace(" *", ""))
        self._bin = found[-1].parent
        self._user = _user()
        self.directory = Path(tempfile.mkdtemp(prefix="airoxy-pg-", dir="/tmp"))
        os.chmod(self.directory, 0o755)
        if self._user:
            shutil.chown(self.directory, self._user)
        self.data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.databases = 0
        self._make()

    def _make(self) -> None:
        self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "--no-sync",
                  "-E", "UTF8", "--locale=C")  # fmt: skip
        self.start()
        self.sql("postgres", f"CREATE ROLE {ROLE} LOGIN")

    def start(self, *settings: str) -> None:
        more = [word for each in settings for word in ("-c", each)]
        log = (self.directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, "-k", self.directory,
                 "-c", "listen_addresses=", "-c", "shared_buffers=16MB",
                 "-c", "max_connections=60", "-c", "fsync=off", *more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.connect("postgres", "postgres").close()
            except _psycopg2().OperationalError:
                assert self._process.poll() is None, (self.directory / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT is a crash without a checkpoint; SIGKILL of all its processes is worse."""
        if self._process is None:
            return
        if how == signal.SIGKILL:
            _kill_all(self._process.pid)
        else:
            self._process.send_signal(how)
        self._process.wait(60)
        self._process = None

    def hang(self, *, go_on: bool = False) -> None:
        """Stop all of its processes where they are, or let them go on."""
        how = signal.SIGCONT if go_on else signal.SIGSTOP
        _kill(self.pid, how)  # first, so that no child comes while they are counted
        for pid in _children(self.pid):
            _kill(pid, how)

    def close(self) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new one."""
        self.databases += 1
        name = f"fleet{self.databases}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        self.sql(name, f"CREATE SCHEMA airoxy AUTHORIZATION {ROLE}")
        return f"postgresql://{ROLE}@/{name}?host={self.directory}"

    def connect(self, name: str, role: str = ROLE) -> Any:
        connection = _psycopg2().connect(
            host=str(self.directory), dbname=name, user=role, connect_timeout=30
        )
        connection.autocommit = True
        return connection

    def sql(self, name: str, sql: str, values: tuple[Any, ...] | None = None) -> list[Any]:
        with _all_the_time(), contextlib.closing(self.connect(name, "postgres")) as connection:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall()) if cursor.description else []

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._bin / program, *words], check=True, capture_output=True, user=self._user,
            cwd=self.directory,
        )  # fmt: skip


class Standby(Cluster):
    """A second server, which follows `primary` until it is promoted."""

    def __init__(self, primary: Cluster) -> None:
        self._primary = primary
        super().__init__()

    def _make(self) -> None:
        self._run("pg_basebackup", "-D", str(self.data), "-h", str(self._primary.directory),
                  "-U", "postgres", "-R", "--checkpoint=fast", "--no-sync")  # fmt: skip
        self.start()

    def promote(self) -> None:
        self.sql("postgres", "SELECT pg_promote()")


def _psycopg2() -> Any:
    import psycopg2
    import psycopg2.extensions

    return psycopg2


@contextlib.contextmanager
def _all_the_time() -> Iterator[None]:
    """That airoxy gives PostgreSQL some seconds goes for this whole process, but not for tests."""
    extensions = _psycopg2().extensions
    impatient = extensions.get_wait_callback()
    extensions.set_wait_callback(None)
    try:
        yield
    finally:
        extensions.set_wait_callback(impatient)


def _version(path: Path) -> int:
    return int(path.parts[-3])


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


def _children(root: int) -> list[int]:
    return [*map(int, Path(f"/proc/{root}/task/{root}/children").read_text().split())]


def _kill_all(root: int) -> None:
    """A process and its children, until they have ended: as long as one of them has the shared
    memory, no other server starts."""
    _kill(root, signal.SIGSTOP)
    ends = []
    for pid in (root, *_children(root)):
        with contextlib.suppress(ProcessLookupError):
            ends.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(ends[-1], signal.SIGKILL)
    for end in ends:
        assert select.select([end], [], [], 60)[0]
        os.close(end)


def _kill(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        pass
