"""The installation that `doctor` and `token rotate-key` work on: its files, user and units."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from airoxy.cli.command import Context
from airoxy.cli.system.credential import SEALED_KEY, system_key
from airoxy.cli.system.owner import acting_as, owner_of
from airoxy.cli.system.system import SERVICE, booted, show
from airoxy.config import DEFAULT_PATH, Config, Document, make_config, read_document

#: Whom the package runs everything as, and where it puts the database.
USER = "airoxy"
HOME = Path("/var/lib/airoxy")
PACKAGED = Path("/usr/lib/systemd/system") / SERVICE

T = TypeVar("T")


@dataclass
class Installation:
    """The installation that a command works on; `root` is where the file system begins."""

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
        configured = show([SERVICE], ["User"])[0].get("User") if self.has_units else None
        return configured or USER

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
        that nothing is left behind that the service cannot use."""
        with acting_as(*(self.owner or owner_of(self.database.parent))):
            return work()

    def may(self, path: Path, rights: str) -> bool:
        """Whether that user has these rights, of "rwx", to what is there."""
        wanted = sum({"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}[right] for right in rights)
        return self.as_owner(lambda: os.access(path, wanted, effective_ids=True))
