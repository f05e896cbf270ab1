"""`airoxy import-php`: take over what the older PHP installation has.

Invariant: nothing is written there, and airoxy.yaml is the administrator's: lines for it are only
shown.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airoxy.cli.command import Command, Context
from airoxy.cli.doctor.finding import Check
from airoxy.cli.parsing.arguments import DRY_RUN, JSON, argument, flag
from airoxy.config import DEFAULT_PATH, SETTINGS
from airoxy.errors import InvalidInput, NotFound, StoreError
from airoxy.legacy_php import leftovers

if TYPE_CHECKING:
    import apsw

#: What of .env lives on, and as which setting.
_SETTINGS = {
    "AIROXY_HOST": "host",
    "AIROXY_PORT": "port",
    "AIROXY_TOKEN_REFRESH_INTERVAL": "token_refresh_interval",
    "AIROXY_LOG_RETENTION_DAYS": "log_retention_days",
}
#: Where Laravel has its database, and where else one may have been put.
_PLACES = ("database/database.sqlite", "database/*.sqlite", "database/*.db", "storage/*.sqlite",
           "storage/*.db", "*.sqlite", "*.db")  # fmt: skip

_FAREWELL = """
Clients keep their keys. Stop the PHP installation for good before its next refresh of the OAuth
tokens: a refresh token works once, and two that use the same one lock each other out."""


def _run(context: Context, args: Namespace) -> None:
    from airoxy.legacy_php.takeover import take_over

    environ = read_env(args.path / ".env")
    # First, because opening our own database gives up the right to read what belongs to others.
    path, source = _open(args.path, environ)
    with closing(source), _database(context, dry_run=args.dry_run) as db:
        result = take_over(source, db, context.now(), dry_run=args.dry_run, force=args.force)
    lines = list(settings(environ, context))
    title = [f"\nFor {context.config.source or DEFAULT_PATH}:"] if lines else []
    context.tell(
        args,
        {"file": str(path), "dry_run": args.dry_run, **vars(result), "settings": lines},
        f"{path}:",
        f"client keys: {result.keys}, tokens: {result.tokens}, days: {result.days}",
        *result.notes,
        *title,
        *(f"    {line}" for line in lines),
        "\nThis was a dry run: nothing has been changed." if args.dry_run else _FAREWELL,
    )


@contextmanager
def _database(context: Context, *, dry_run: bool) -> Iterator[apsw.Connection]:
    """Ours; where there is none yet, a dry run does not make one."""
    from airoxy.store.schema import open_database

    if dry_run and not context.config.database.exists():
        with (
            tempfile.TemporaryDirectory() as directory,
            closing(open_database(Path(directory, "airoxy.db"))) as db,
        ):
            yield db
    else:
        yield context.database


def _open(path: Path, environ: Mapping[str, str]) -> tuple[Path, apsw.Connection]:
    """The installation's database, and where it is. Raises NotFound and StoreError."""
    from airoxy.legacy_php.source import open_php

    if environ.get("DB_CONNECTION", "sqlite") != "sqlite":
        kind = environ["DB_CONNECTION"]
        raise InvalidInput(f"{path} keeps its data in {kind}; only SQLite can be taken over.")
    refusal = None
    for candidate in _candidates(path, environ.get("DB_DATABASE")):
        try:
            return candidate, open_php(candidate)
        except StoreError as error:
            refusal = refusal or error
    if refusal:
        raise refusal
    raise NotFound(f"There is no PHP airoxy's database in {path}; name its directory or the file.")


def _candidates(path: Path, configured: str | None) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif configured and (path / configured).is_file():
        yield path / configured
    else:
        found = dict.fromkeys(file for place in _PLACES for file in sorted(path.glob(place)))
        yield from (file for file in found if file.is_file())


def read_env(file: Path) -> dict[str, str]:
    """What a .env file sets; nothing where there is none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}; use sudo.") from error
    found = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if value[:1] in ('"', "'"):
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].strip()


def settings(environ: Mapping[str, str], context: Context) -> Iterator[str]:
    """The lines of airoxy.yaml that say what .env says, less what holds already."""
    import yaml

    for name, key in _SETTINGS.items():
        if not environ.get(name):
            continue
        text = environ[name] if ":" not in environ[name] else f'"{environ[name]}"'
        try:
            node = yaml.compose(text, yaml.SafeLoader)
            value = SETTINGS[key].kind.read(node) if node else None
        except (ValueError, yaml.YAMLError) as error:
            yield f"# {name}={environ[name]} {error}: give {key} {SETTINGS[key].wanted}"
            continue
        if value != context.config.value(key):
            yield f"{key}: {text}"


_ARGUMENTS = (
    argument(
        "path",
        "DIRECTORY",
        "where the PHP installation is, or its database (default: %(default)s)",
        type=Path,
        nargs="?",
        default=leftovers.DIRECTORY,
    ),
    DRY_RUN,
    flag("--force", "add what is new there since it was taken over"),
    JSON,
)

CHECKS = (Check("PHP", leftovers.php),)

COMMANDS = (
    Command(
        "import-php",
        "Take over keys, tokens and daily sums of the older PHP installation",
        _run,
        _ARGUMENTS,
        "Take over client keys, tokens and the sums of each day of the older PHP"
        " installation, and show the settings that it has. Nothing is changed there. A second time"
        " is refused, unless --force is given: then keys, tokens and days come that are new there.",
    ),
)
