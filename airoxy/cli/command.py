"""The parts of a command, and the context that it runs in.

A command prints through its `Context` and returns an exit status (None is 0); failures are raised
as AiroxyError and rendered by `airoxy.cli.main` alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from airoxy.calendar import day_of
from airoxy.cli.parsing.arguments import Argument
from airoxy.errors import ConfigError
from airoxy.views.formats import columns, fitted, padded, terminal_width
from airoxy.views.times import typed_moment

if TYPE_CHECKING:
    import apsw

    from airoxy.config import Config
    from airoxy.fleet.postgres import Postgres
    from airoxy.store.fleet.membership import Membership

T = TypeVar("T")

#: Groups of commands that change what a fleet shares.
_CHANGING = ("api-key", "token", "group", "apply", "setup", "import-php", "console")


@dataclass
class Context:
    """The surroundings of one command."""

    config_path: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    input: TextIO = field(default_factory=lambda: sys.stdin)
    clock: Callable[[], float] = time.time
    #: What was typed, without options: "api-key set".
    command: str = ""
    _file: tuple[int, int] | None = None

    @cached_property
    def config(self) -> Config:
        """The configuration in force. Raises ConfigError."""
        from airoxy.config import load_config

        return load_config(self.config_path, self.environ)

    @property
    def config_file(self) -> Path:
        """Where the configuration is, or would be."""
        from airoxy.config import DEFAULT_PATH

        return self.config_path or Path(self.environ.get("AIROXY_CONFIG") or DEFAULT_PATH)

    @cached_property
    def database_path(self) -> Path:
        """Where the database is. Mistakes elsewhere in the configuration do not matter, so that a
        key can be disabled while there are some; a warning tells of them. Raises ConfigError."""
        from airoxy.config import database_of

        try:
            return self.config.database
        except ConfigError:
            path = database_of(self.config_file)
            if path is None:
                raise
            self.warn("airoxy: The configuration has mistakes; `airoxy config check` lists them.")
            return path

    @cached_property
    def database(self) -> apsw.Connection:
        """The database, opened as its owner, or only to be read by the members of its group. Raises
        StoreError."""
        from airoxy.cli.system.owner import become_owner, caller, may_only_read
        from airoxy.store.audit.trail import Actor, act_as
        from airoxy.store.fleet.membership import membership
        from airoxy.store.schema import open_database

        path = self.database_path
        self._file = _identity(path)
        if may_only_read(path):
            return open_database(path, readonly=True)
        key = self.system_key  # before root's rights are given up
        actor = Actor(*caller(self.environ), self.command)
        become_owner(path)
        db = open_database(path, key=key)
        act_as(db, actor)
        if self.command.partition(" ")[0] in _CHANGING and membership(db) is not None:
            from airoxy.fleet.commit import commit_on_both

            # What a fleet shares is changed for all of its hosts, or not at all.
            commit_on_both(db, self.connect)
        return db

    @cached_property
    def system_key(self) -> bytes | None:
        """The key that systemd gives the services: of the package's installation, and not of
        another that root looks after."""
        from airoxy.cli.system.credential import system_key
        from airoxy.config import DEFAULT_PATH

        return system_key() if self.config_file == DEFAULT_PATH else None

    def reopen_replaced(self) -> bool:
        """Open the database anew where another file has taken its place, as a backup does that is
        restored; whether that was so. Raises StoreError."""
        from airoxy.store.schema import open_database

        found = _identity(self.database_path)
        if found in (None, self._file):
            return False
        old, self._file = self.database, found
        readonly = bool(old.readonly("main"))
        new = open_database(self.database_path, create=False, readonly=readonly)
        old.close()
        vars(self)["database"] = new
        return True

    @property
    def connect(self) -> Callable[[Membership], Postgres]:
        """Connects to the PostgreSQL in which a member's fleet meets."""
        from airoxy.fleet.agent import connector

        credentials = self.environ.get("CREDENTIALS_DIRECTORY")
        return connector(self.database_path, credentials, self.config.fleet.database)

    @property
    def config_of_defaults(self) -> Config:
        """The configuration in force, with or without mistakes, but for mistakes in the defaults
        of new keys: a key must not come out without its limits. Raises ConfigError."""
        from airoxy.config import make_config, read_document

        try:
            return self.config
        except ConfigError:
            if not self.config_file.exists():
                raise
            document = read_document(self.config_file)
            if any(each.key is None or "defaults" in each.key for each in document.mistakes):
                raise
            return make_config(document.values)

    @property
    def client_url(self) -> str:
        """Where clients reach airoxy, as far as a configuration with mistakes tells."""
        from airoxy.views.paste import base_url

        try:
            return base_url(self.config)
        except ConfigError:  # which does not keep anybody from making a key
            return "http://THIS-HOST:3800"

    def key_id(self, text: str, *, removed: bool = False) -> int:
        """The client key that is meant by its id or name. Raises NotFound."""
        return self._id("api_keys", text, removed=removed)

    def group_id(self, text: str, *, removed: bool = False) -> int:
        """The group that is meant by its id or name. Raises NotFound."""
        return self._id("groups", text, removed=removed)

    def token_id(self, text: str, *, removed: bool = False) -> int:
        """The token that is meant by its id or name. Raises NotFound."""
        return self._id("tokens", text, removed=removed)

    def _id(self, table: str, text: str, *, removed: bool) -> int:
        from airoxy.store.names import find_id

        return find_id(self.database, table, text, removed=removed)

    def whose(self, args: argparse.Namespace) -> dict[str, Any]:
        """What is meant by --token, --key and --group, each None where it is all of them. Raises
        NotFound."""
        from airoxy.core.limits.holders import EVERYBODY

        def id_in(table: str, text: str | None) -> int | None:
            return None if text is None else self._id(table, text, removed=True)

        found = {"token_id": id_in("tokens", args.token), "key_id": id_in("api_keys", args.key)}
        group_id = id_in("groups", args.group)
        return found | {"group_id": None if group_id == EVERYBODY else group_id}

    def since_and_until(self, args: argparse.Namespace) -> tuple[int | None, int | None]:
        """What --since and --until say, in Unix milliseconds. Raises InvalidInput."""
        now, zone = self.now(), self.zone
        since, until = (
            None if text is None else round(typed_moment(text, now, option, zone) * 1000)
            for text, option in ((args.since, "--since"), (args.until, "--until"))
        )
        return since, until

    def now(self) -> float:
        return self.clock()

    def moment(self) -> datetime.datetime:
        """Now, in the time zone of the configuration."""
        return datetime.datetime.fromtimestamp(self.now(), self.zone)

    @cached_property
    def zone(self) -> datetime.tzinfo:
        """That of the configuration; UTC where it has mistakes."""
        try:
            return self.config.timezone
        except ConfigError:
            return datetime.UTC

    def today(self) -> datetime.date:
        """The day in the time zone of the configuration."""
        return day_of(self.now(), self.zone)

    def say(self, text: str = "") -> None:
        print(text, file=self.out)

    def warn(self, text: str) -> None:
        """For a person, beside the result: on standard error, so that --json stays JSON."""
        print(text, file=self.err)

    def json(self, document: object) -> None:
        """The one JSON document that `--json` prints."""
        print(json.dumps(document, indent=2, ensure_ascii=False), file=self.out)

    def tell(self, args: argparse.Namespace, document: object, *lines: str) -> None:
        """What a command has done: to programs, or in lines to a person."""
        if args.json:
            return self.json(document)
        for line in lines:
            self.say(line)
        return None

    def facts(self, title: str, facts: Iterable[tuple[str, str]]) -> None:
        """What there is to know of one thing, a line each."""
        self.say(title)
        for name, text in facts:
            self.say(f"  {name:<12}{text}")

    def listing(
        self,
        args: argparse.Namespace,
        rows: Sequence[T],
        document: Callable[[T], object],
        columns: Mapping[str, Callable[[T], str]],
        nothing: str = "",
        **shape: Any,
    ) -> None:
        """Many things: to programs as documents, to a person as a table with these columns, or by
        what there is to say of none."""
        if args.json:
            return self.json([document(row) for row in rows])
        if nothing and not rows:
            return self.say(nothing)
        cells = ([cell(row) for cell in columns.values()] for row in rows)
        return self.table(cells, tuple(columns), **shape)

    def table(
        self,
        rows: Iterable[Sequence[str]],
        head: Sequence[str],
        *,
        right: Sequence[str] = (),
        leave_out: Sequence[str] = (),
        cuttable: Mapping[str, int] | None = None,
    ) -> None:
        """Columns as wide as their contents; those named in `right` are numbers. A terminal that
        is too narrow gets what is `views.formats.fitted`; a pipe has room."""
        lines = [list(head), *(list(row) for row in rows)]
        width = terminal_width(self.out, self.environ)
        if width is not None and (leave_out or cuttable):
            lines = fitted(lines, width, leave_out, cuttable or {})
        widths = [max(columns(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            cells = [
                padded(cell, width, right=name in right)
                for cell, width, name in zip(line, widths, lines[0], strict=True)
            ]
            self.say("  ".join(cells).rstrip())


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is there; None where none is to be seen."""
    try:
        found = path.stat()
    except OSError:  # whoever opens it says what is wrong
        return None
    return found.st_dev, found.st_ino


def show_help(parser: argparse.ArgumentParser) -> Run:
    """What a command does that is not complete."""
    return lambda context, _: context.say(parser.format_help().rstrip())


Run = Callable[[Context, argparse.Namespace], "int | None"]


@dataclass(frozen=True)
class Command:
    """One thing an operator types: `help` is a sentence without a full stop, and `description` a
    longer one, or how that goes on."""

    name: str
    help: str
    run: Run
    arguments: Sequence[Argument] = ()
    description: str = "."

    def add_to(self, commands: Any) -> None:
        is_whole = self.description[0].isalpha()
        description = self.description if is_whole else self.help + self.description
        parser = commands.add_parser(self.name, help=self.help, description=description)
        for add in self.arguments:
            add(parser)
        parser.set_defaults(run=self.run, command=parser.prog.partition(" ")[2])


@dataclass(frozen=True)
class Group:
    """Commands that share a first word."""

    name: str
    help: str
    commands: tuple[Command | Group, ...]

    def add_to(self, commands: Any) -> None:
        parser = commands.add_parser(self.name, help=self.help, description=f"{self.help}.")
        parser.set_defaults(run=show_help(parser))
        inner = parser.add_subparsers(title="commands", metavar="COMMAND")
        for command in self.commands:
            command.add_to(inner)
