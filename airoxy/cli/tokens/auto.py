"""`airoxy token auto`: import the OAuth tokens that Claude Code keeps on this machine.

Invariant: files are read before root's rights are dropped, and only where they are regular files
of the user in whose home they are.
"""

from __future__ import annotations

import os
import pwd
import stat
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import DRY_RUN, JSON, argument
from airoxy.cli.tokens.add import free_name
from airoxy.core.credentials import Credentials, parse
from airoxy.core.names import printable
from airoxy.errors import InvalidInput
from airoxy.store import tokens
from airoxy.views.terms import TERMS

FILE = Path(".claude/.credentials.json")
#: The real file has about a kilobyte.
_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class Found:
    """A credential file: what it holds, or why it was skipped."""

    path: Path
    user: str
    credentials: Credentials | None
    skipped: str | None = None


ARGUMENTS = (
    DRY_RUN,
    argument(
        "--path",
        "FILE",
        "this credential file (default: root's and every user's in /home)",
        type=Path,
    ),
    JSON,
)


def run(context: Context, args: Namespace) -> None:
    if os.geteuid() != 0:
        _ = context.database  # without rights to it, that is the first error
    files = [read(args.path)] if args.path else [read(path) for path in everywhere()]
    if args.path and files[0].skipped:
        raise InvalidInput(f"{printable(str(args.path))} {files[0].skipped}.")
    if any(found.credentials for found in files):
        context.warn(TERMS)
    results = [_import(context, found, args.dry_run) for found in files]
    told = [f"{result['path']}: {result['result']}" for result in results]
    none = ["No Claude Code login found; name its file with --path."]
    context.tell(args, results, *(told or none))


def everywhere(root: Path = Path("/root"), homes: Path = Path("/home")) -> Iterator[Path]:
    """Where logins are kept: root's, and every user's."""
    for home in (root, *sorted(homes.glob("*"))):
        path = home / FILE
        try:
            path.lstat()
        except FileNotFoundError:
            continue
        except OSError:
            pass  # `read` says why
        yield path


def read(path: Path) -> Found:
    """Never raises; faults of the file are in `skipped`."""
    try:
        # O_NONBLOCK: a FIFO in its place must not hold us; O_NOFOLLOW: nor a link lead elsewhere.
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return Found(path, "", None, f"cannot be read: {error.strerror}")
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
        os.close(file)
        return Found(path, "", None, "is not a credential file")
    with os.fdopen(file, "rb") as opened:
        user = _user(path, found.st_uid)
        if path.parent.name == FILE.parent.name:
            home = path.parent.parent.stat().st_uid
            if home != found.st_uid:
                return Found(path, user, None, "belongs to somebody else than its home directory")
        text = opened.read(_LARGEST)
    try:
        return Found(path, user, parse(text.decode("utf-8", "replace")))
    except InvalidInput as error:
        return Found(path, user, None, error.message)


def _user(path: Path, uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return path.parent.parent.name or f"user {uid}"


def _import(context: Context, found: Found, dry_run: bool) -> dict[str, object]:
    """What was done with it, or would be."""
    result: dict[str, object] = {"path": str(found.path), "user": found.user}
    login = found.credentials
    if login is None:
        return {**result, "result": f"skipped: it {found.skipped}"}
    db = context.database
    known = tokens.by_refresh_token(db, login.refresh_token)
    if known is None:
        name = free_name(context, found.user)
        token_id = None if dry_run else _add(context, name, login)
        done = "would be added" if dry_run else "added"
        return {**result, "id": token_id, "name": name, "result": f"{done} as {name}"}
    token_id, name = known
    result |= {"id": token_id, "name": name}
    if dry_run:
        return {**result, "result": f"is {name}, would be updated where it is newer"}
    newer = tokens.update_login(db, login.refresh_token, login.token, login.expires_at)
    return {**result, "result": f"{name} is {'updated' if newer else 'up to date'}"}


def _add(context: Context, name: str, login: Credentials) -> int:
    return tokens.add_token(
        context.database,
        name=name,
        type="oauth",
        token=login.token,
        refresh_token=login.refresh_token,
        expires_at=login.expires_at,
        now=context.now(),
    )
