"""`airoxy fleet join`: this host becomes one of a fleet."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import JSON, argument, flag, named
from airoxy.errors import InvalidInput

if TYPE_CHECKING:
    from airoxy.cli.system.health import Own

#: Bytes of a file with a secret: a device may be endless.
_LARGEST = 4096


ARGUMENTS = (
    argument(
        "url",
        "URL",
        "postgresql://USER@HOST/DATABASE, without a password (default: fleet.database)",
        nargs="?",
    ),
    flag("--first", "make the fleet; this is its first host"),
    named("what the fleet calls this host (default: its host name)"),
    argument(
        "--password-file",
        "FILE",
        "where the password is; it is kept beside the database",
        type=Path,
    ),
    argument(
        "--token-key", "FILE", "where the key of the fleet's tokens is, as 64 digits", type=Path
    ),
    flag(
        "--anew", "join as another host, where the database is a copy of one that was in the fleet"
    ),
    flag("--dry-run", "only show what would change"),
    JSON,
)


def run_join(context: Context, args: Namespace) -> None:
    from airoxy.cli.system.health import own_server
    from airoxy.fleet import join
    from airoxy.fleet.postgres import PASSWORD_FILE, checked_url, connected, read_password
    from airoxy.store.fleet.membership import host_name, last_membership

    # Read with the rights of who types it.
    password, key = _first_line(args.password_file), _key(args.token_key)
    own = own_server(context.config.tls)
    db = context.database
    before = last_membership(db)
    url = args.url or context.config.fleet.database or (before.url if before else None)
    if url is None:
        raise InvalidInput("Say where the fleet meets: airoxy fleet join postgresql://…")
    url = checked_url(url)
    password = password or read_password(context.database_path, None)
    with connected(url, password) as postgres:
        entry = join.Entry(
            db, postgres, url, args.name or host_name(), first=args.first, anew=args.anew, key=key,
            own_key=context.system_key, running=lambda: _answers(context, own),
        )  # fmt: skip
        entry.prepare()
        lines = [line for each in entry.merges for line in each.lines()]
        if args.dry_run:
            told = lines or ["Nothing of this host's own would change."]
            return context.tell(
                args, {"name": entry.name, "dry_run": True, "changes": lines}, *told
            )
        if args.password_file is not None and password is not None:
            _keep(context.database_path.with_name(PASSWORD_FILE), password)
        entry.carry_out(context.config.log_retention_days)
    return context.tell(
        args,
        {"name": entry.name, "dry_run": False, "changes": lines},
        *lines,
        f"This host is in the fleet as {entry.name}.",
        "Its agent has to run: sudo systemctl enable --now airoxy-fleet",
    )


def _answers(context: Context, own: Own) -> bool:
    """Whether this host's server runs."""
    from airoxy.cli.system.health import ask_server

    config = context.config
    return ask_server(config.first_host, config.port, own).status is not None


def _first_line(path: Path | None) -> str | None:
    return None if path is None else _text(path).rstrip("\n")


def _key(path: Path | None) -> bytes | None:
    from airoxy.store.key_file import parse_key

    if path is None:
        return None
    key = parse_key(_text(path))
    if key is None:
        raise InvalidInput(f"{path} is no key: 64 hexadecimal digits.")
    return key


def _text(path: Path) -> str:
    try:
        # O_NONBLOCK: a FIFO to which nobody writes is empty, and must not hold us. To one that a
        # shell has made (<(pass db)) somebody is going to write.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(file, True)
        with os.fdopen(file, "rb") as opened:
            text = opened.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise InvalidInput(f"{path} is longer than {_LARGEST} bytes; name another file.")
        return text.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from None


def _keep(path: Path, text: str) -> None:
    from airoxy import files

    with files.written(path) as unfinished:
        unfinished.write_text(text + "\n")
