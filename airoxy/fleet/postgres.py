"""Connections to the PostgreSQL in which a fleet meets.

Invariant: nothing waits for it longer than a few seconds, whether it refuses, hangs or is cut off.
The driver, python3-psycopg2, is imported when the first connection is made.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from airoxy.errors import AiroxyError, InvalidInput, StoreError

#: What systemd calls the password, and the file beside the database where it is otherwise.
CREDENTIAL = "airoxy-fleet-password"
PASSWORD_FILE = "fleet.password"
#: How long an answer is waited for (seconds); the server gives up a little earlier.
PATIENCE = 6.0
#: A PostgreSQL that cannot hear of the end of a connection has to ask, or the lock of an agent that
#: was cut off would keep its successor out for two hours; and for a quarter of an hour where it had
#: just said something, which is sent again and again.
_SETTINGS = """
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = 11000;
SET statement_timeout = 5000; SET lock_timeout = 4000;
SET idle_in_transaction_session_timeout = 8000; SET timezone = 'UTC'; SET client_encoding = 'UTF8'
"""
#: Where libpq finds whom to trust, if the URL names nothing else.
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
#: libpq would look in root's home, which it may not once the command has become the service's user.
_NO_CERTIFICATE = "/nonexistent/postgresql.crt"


class FleetError(StoreError):
    """PostgreSQL cannot be reached, or refuses."""


@cache
def driver() -> Any:
    """psycopg2, waiting with patience. Raises AiroxyError where it is not installed."""
    try:
        import psycopg2
        import psycopg2.extensions
        import psycopg2.extras
    except ImportError:
        raise AiroxyError(
            "A fleet needs PostgreSQL's driver: sudo apt install python3-psycopg2"
        ) from None
    psycopg2.extensions.set_wait_callback(partial(_wait, psycopg2))
    return psycopg2


def _wait(psycopg2: Any, connection: Any) -> None:
    """Called by the driver whenever there is something to wait for."""
    deadline = time.monotonic() + PATIENCE
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        event = select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT
        poller = select.poll()
        poller.register(connection.fileno(), event)
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise psycopg2.OperationalError(f"it has not answered for {PATIENCE:.0f} seconds")


def checked_url(url: str) -> str:
    """The URL of a PostgreSQL database without a password. Raises InvalidInput."""
    psycopg2 = driver()
    try:
        parts = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error:
        parts = {}
    if not url.startswith(("postgresql://", "postgres://")) or not parts:
        raise InvalidInput("A fleet's database is named like postgresql://airoxy@db.example/airoxy")
    if "password" in parts:
        raise InvalidInput(
            "Leave the password out of the URL, which others can see: --password-file FILE"
        )
    return url


def read_password(database: Path, credentials: str | None) -> str | None:
    """That of the service's credential, else of the file beside the database."""
    places = [Path(credentials, CREDENTIAL)] if credentials else []
    for place in (*places, database.with_name(PASSWORD_FILE)):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return place.read_text("utf-8").rstrip("\n")
    return None


class Postgres:
    """One connection. Each of its errors is a FleetError with a sentence."""

    def __init__(self, url: str, password: str | None = None) -> None:
        psycopg2 = driver()
        parts = psycopg2.extensions.parse_dsn(url)
        host = parts.get("host") or parts.get("hostaddr") or "/"
        more: dict[str, Any] = {"connect_timeout": 4, "tcp_user_timeout": 6000}
        more |= {"application_name": "airoxy", "keepalives_idle": 5, "keepalives_interval": 2}
        if password is not None:
            more["password"] = password
        if not host.startswith("/"):
            more |= {"sslmode": "verify-full", "sslrootcert": _AUTHORITIES}
            more["sslcert"] = _NO_CERTIFICATE
        with translated():
            self.connection = psycopg2.connect(**(more | parts))
            self.connection.autocommit = True
            self.run(_SETTINGS)

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute; the rows it gives."""
        with translated(), self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def insert(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Many rows at once: `sql` has one %s for all of them."""
        with translated(), self.connection.cursor() as cursor:
            driver().extras.execute_values(cursor, sql, rows, page_size=1000)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.run("BEGIN")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            with contextlib.suppress(FleetError):
                self.run("ROLLBACK")
            raise

    def listen(self) -> None:
        """From now on `notified` tells of changes."""
        self.run("LISTEN airoxy")

    def notified(self) -> bool:
        """Whether there was a change since the last call."""
        with translated():
            self.connection.poll()
            found = bool(self.connection.notifies)
            self.connection.notifies.clear()
        return found

    def fileno(self) -> int:
        with translated():
            return int(self.connection.fileno())

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.connection.close()


@contextlib.contextmanager
def connected(url: str, password: str | None) -> Iterator[Postgres]:
    """A connection that is closed at the end."""
    postgres = Postgres(url, password)
    try:
        yield postgres
    finally:
        postgres.close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """What psycopg2 raises, as FleetError."""
    psycopg2 = driver()
    try:
        yield
    except psycopg2.Error as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        told = lines[0].removeprefix("ERROR:").strip().rstrip(".")
        raise FleetError(f"The fleet's PostgreSQL cannot be used: {told}.") from error


def storable(value: Any) -> Any:
    """PostgreSQL has no text with a zero byte."""
    return value.replace("\0", "") if isinstance(value, str) else value
