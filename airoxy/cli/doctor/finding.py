"""What a check has found, and the patient that all checks look at.

The law: a check only looks, and changes nothing; what it could repair is a function in its finding.
What is done to the database is done as its owner, in a process of its own.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from airoxy.cli.command import Context
from airoxy.cli.system.owner import drop_to
from airoxy.cli.system.system import SERVICE, booted, show
from airoxy.cli.tokens.key import SEALED_KEY, system_key
from airoxy.config import DEFAULT_PATH, Config, Document, make_config, read_document
from airoxy.errors import AiroxyError

OK, WARN, FAIL, FIXED = "ok", "warn", "FAIL", "fixed"

#: Whom the package runs everything as, and where it puts the database.
USER = "airoxy"
HOME = Path("/var/lib/airoxy")
PACKAGED = Path("/usr/lib/systemd/system") / SERVICE

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One line: `text` says how it is, `remedy` what to do; `fix` does it and says what it did.
    `check` is the name in the table of checks, unless a check has its own idea."""

    state: str
    text: str
    remedy: str = ""
    fix: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    check: str = ""


Check = Callable[["Installation"], Iterable[Finding]]


@dataclass
class Installation:
    """The installation that is looked at; `root` is where the file system begins."""

    context: Context
    root: Path = Path("/")
    #: To the tokens, where systemd has it and we may; asked for before `as_owner` gives rights up.
    key: bytes | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key = system_key(self.sealed_key) if self.packaged else None

    @property
    def sealed_key(self) -> Path:
        """Where systemd has the key to the tokens, encrypted for this machine."""
        return self.root / SEALED_KEY.relative_to("/")

    @cached_property
    def document(self) -> Document | None:
        """The configuration file as read, with its mistakes; None where there is none."""
        try:
            return read_document(self.config_path)
        except FileNotFoundError:
            return None

    @property
    def config_path(self) -> Path:
        return self.context.config_file

    @cached_property
    def config(self) -> Config:
        """What of the configuration can be understood, with the rest at its defaults."""
        document = self.document
        return make_config(document.values, source=document.path) if document else make_config()

    @property
    def database(self) -> Path:
        return self.config.database.absolute()

    @cached_property
    def packaged(self) -> bool:
        """Whether this is the installation of the package, which runs with the file in /etc."""
        return self.config_path == DEFAULT_PATH and PACKAGED.exists()

    @property
    def has_units(self) -> bool:
        """Whether systemd runs, and runs what we look at."""
        return self.packaged and booted()

    @cached_property
    def user(self) -> str | None:
        """Whom the service runs as; None without the package, where anybody may run airoxy."""
        if not self.packaged:
            return None
        told = show([SERVICE], ["User"])[0].get("User") if self.has_units else None
        return told or USER

    @property
    def owner(self) -> tuple[int, int] | None:
        """User and group to whom the database must belong, if that is settled."""
        if self.user is None:
            return None
        try:
            found = pwd.getpwnam(self.user)
        except KeyError:
            return None
        return found.pw_uid, found.pw_gid

    def as_owner(self, work: Callable[[], T]) -> T:
        """The result of `work`, done as the user to whom the database belongs or should belong, so
        that nothing is left behind which the service cannot use. It raises what `work` raises."""
        uid, gid = self.owner or _owner_of(self.database.parent)
        if os.geteuid() != 0 or uid == 0:
            return work()
        import pickle

        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _serve(work, uid, gid, writing)
        os.close(writing)
        with open(reading, "rb") as pipe:
            told = pipe.read()
        os.waitpid(pid, 0)
        if not told:
            raise AiroxyError("The process that looked at the database died.")
        done, result = pickle.loads(told)  # noqa: S301 - our own child wrote it
        if not done:
            raise result
        found: T = result
        return found


def _owner_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def _serve(work: Callable[[], T], uid: int, gid: int, writing: int) -> None:
    """The child's life; it never returns."""
    import pickle

    try:
        drop_to(uid, gid)
        told: tuple[bool, object]
        try:
            told = (True, work())
        except AiroxyError as error:
            told = (False, AiroxyError(error.message))
        except OSError as error:
            told = (False, AiroxyError(f"{error.filename}: {error.strerror}"))
        except Exception as error:
            told = (False, AiroxyError(f"{type(error).__name__}: {error}"))
        with open(writing, "wb") as pipe:
            pickle.dump(told, pipe)
    finally:
        os._exit(0)  # what the parent has not written yet is the parent's to write
