"""`airoxy backup FILE`: a copy of the database, while the service goes on."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import JSON, argument, flag
from airoxy.views.times import rfc3339, zoned_moment

_DESCRIPTION = (
    "Copy the database to FILE: keys, tokens, detailed requests and all sums, as they are at this"
    " moment, while the service goes on. FILE belongs to the user who types the command, is"
    " readable for nobody else, and appears when it is complete and checked, or not at all. The"
    " access tokens in it are encrypted under a key that is not in it."
)


def _run(context: Context, args: Namespace) -> None:
    path = context.database_path
    target = args.file.absolute()
    taken_at = context.now()
    size = _copy(path, target, replace=args.force)
    key = _key_of(path)
    if args.json:
        copy = {"file": str(target), "bytes": size, "taken_at": rfc3339(taken_at)}
        return context.json(copy | {"key": key and str(key)})
    context.say(
        f"{target}: everything up to {zoned_moment(taken_at, context.zone)},"
        f" {size / 1e6:,.1f} MB, checked."
    )
    if key:
        context.say(
            f"The tokens in it are encrypted; the key is not in it, but in {key}. Keep that in"
            " another place, as docs/operators-guide.md says: without it they must be added anew."
        )
    return None


def _copy(path: Path, target: Path, *, replace: bool) -> int:
    """The size of the copy, in bytes."""
    import apsw

    from airoxy.cli.system.owner import as_owner
    from airoxy.store.file import backup
    from airoxy.store.file.access import explain

    backup.check_target(path, target, replace=replace)
    try:
        with as_owner(path):
            source = backup.open_source(path)
    except apsw.Error as error:
        raise explain(path, error) from error
    try:
        return backup.write_copy(source, target, replace=replace)
    except apsw.FullError as error:
        raise explain(target, error) from error
    finally:
        with as_owner(path):
            source.close()


def _key_of(path: Path) -> Path | None:
    """Where the key is with which the tokens are encrypted; None where there is none yet."""
    from airoxy.cli.system.credential import SEALED_KEY
    from airoxy.store.key_file import KEY_FILE

    places = (SEALED_KEY, path.with_name(KEY_FILE))
    return next((place for place in places if os.path.exists(place)), None)


_ARGUMENTS = (
    argument("file", "FILE", "where the copy goes", type=Path),
    flag("--force", "replace FILE if it is there"),
    JSON,
)
COMMANDS = (Command("backup", "Copy the database to a file", _run, _ARGUMENTS, _DESCRIPTION),)
