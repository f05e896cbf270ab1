"""`airoxy restore FILE`: a backup takes the place of the database."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from airoxy.cli.command import Command, Context
from airoxy.cli.installation import Installation
from airoxy.cli.parsing.arguments import JSON, argument, flag
from airoxy.cli.system.replacement import dated, replace_database
from airoxy.cli.system.system import SERVICE, require_root, show, systemctl
from airoxy.errors import AiroxyError, InvalidInput

_TIMER = "airoxy-refresh-tokens.timer"


@dataclass
class _Content:
    """What is in the backup."""

    tokens: int = 0
    oauth: int = 0
    readable: bool = True


def _run(context: Context, args: Namespace) -> None:
    installation = Installation(context)
    if installation.has_units:
        require_root("restore FILE")
    backup = args.file.absolute()
    if backup == installation.database:
        raise InvalidInput(f"{backup} is the database itself; name a backup.")
    if not backup.is_file():
        raise InvalidInput(f"{backup} is not a file that can be read; name a backup.")
    content = _Content()

    def prepare(copy: Path) -> None:
        _check(backup, copy)
        _look(copy, installation.key, content, drill=args.drill, now=context.now())

    kept = replace_database(installation, backup, "replaced", prepare)
    if args.drill and installation.has_units:
        systemctl("disable", "--now", _TIMER)
    document = {
        "file": str(backup),
        "kept": str(kept) if kept.exists() else None,
        "tokens": content.tokens,
        "oauth_tokens": content.oauth,
        "is_readable": content.readable,
        "is_drill": args.drill,
    }
    lines = [f"{dated(backup)} is in the place of the database."]
    lines += [f"The one before is kept as {kept}."] if kept.exists() else []
    context.tell(args, document, *lines, *_notes(content, drill=args.drill))
    if installation.has_units and show([SERVICE], ["ActiveState"])[0]["ActiveState"] != "active":
        context.warn("The service was not running; start it: sudo airoxy start")


def _check(backup: Path, copy: Path) -> None:
    """Refuse what could not be opened. Raises AiroxyError."""
    from airoxy.store.file.inspection import damage, identity
    from airoxy.store.migrations import MIGRATIONS
    from airoxy.store.schema import APPLICATION_ID

    if reason := damage(copy):
        raise AiroxyError(f"{backup} is damaged ({reason}); nothing has been changed.")
    application, version = identity(copy)
    if application != APPLICATION_ID:
        raise AiroxyError(f"{backup} is no database of airoxy's; nothing has been changed.")
    if version > len(MIGRATIONS):
        raise AiroxyError(
            f"{backup} was written by a newer airoxy (version {version}, this one knows"
            f" {len(MIGRATIONS)}); upgrade airoxy first. Nothing has been changed."
        )


def _look(copy: Path, key: bytes | None, content: _Content, *, drill: bool, now: float) -> None:
    from airoxy.store.file.drill import disable_oauth
    from airoxy.store.file.inspection import open_as_it_is
    from airoxy.store.migrations import SEALED_SINCE
    from airoxy.store.schema import run

    with closing(open_as_it_is(copy, key)) as db:
        if drill:
            disable_oauth(db, now)
        ((content.tokens, oauth, version),) = run(
            db,
            "SELECT count(*), sum(type = 'oauth'), (SELECT user_version FROM pragma_user_version)"
            " FROM tokens WHERE removed_at IS NULL",
        )
        content.oauth = oauth or 0
        if content.tokens and version >= SEALED_SINCE:
            content.readable = bool(run(db, "SELECT key_fits()")[0][0])


def _notes(content: _Content, *, drill: bool) -> list[str]:
    notes = []
    if not content.readable:
        notes.append(
            f"Its {content.tokens} tokens are encrypted with a key that is not here, and unreadable"
            " until it is put back (docs/operators-guide.md, Restore). Everything else works."
        )
    if drill:
        notes.append(
            f"This is a drill: {content.oauth} OAuth tokens are disabled, and so is the timer that"
            " refreshes tokens. Do not enable them while production uses the same ones."
        )
    elif content.oauth:
        notes.append(
            f"{content.oauth} of its tokens are OAuth tokens: one that was refreshed after the"
            " backup was made is spent. `sudo airoxy token refresh` shows which; log in again then."
        )
    return notes


_ARGUMENTS = (
    argument("file", "FILE", "the backup", type=Path),
    flag(
        "--drill",
        "disable the OAuth tokens in it and the timer that refreshes them: a refresh token works"
        " once, and practice must not use up those of production",
    ),
    JSON,
)
COMMANDS = (
    Command(
        "restore",
        "Put a backup in the place of the database",
        _run,
        _ARGUMENTS,
        ". Its integrity and version are checked, the service is stopped meanwhile and started"
        " again, and the old database is kept beside the new one. A backup from an older version is"
        " migrated when the service opens it. Tokens whose encryption key is not here are"
        " unreadable until it is put back; everything else works without it.",
    ),
)
