"""`airoxy update` and `airoxy uninstall`: apt and the package's own scripts do the work."""

from __future__ import annotations

import os
import re
import subprocess
from argparse import Namespace
from pathlib import Path

from airoxy.cli.command import Command, Context
from airoxy.cli.installation import HOME, Installation
from airoxy.cli.parsing.arguments import YES, argument, flag
from airoxy.cli.system.system import UNATTENDED, ask, require_root
from airoxy.errors import AiroxyError, InvalidInput

_TO_BE_KEPT = "This removes airoxy from this machine. Its configuration and its database stay."
_TO_BE_LOST = (
    "This removes airoxy from this machine. Its configuration and /var/lib/airoxy go too: every"
    " key, every token and the whole usage log."
)
_KEPT = "Its configuration and its database are still there."
_LOST = "Its configuration and its database are gone, too."


def _update(context: Context, args: Namespace) -> None:
    require_root("update")
    before = _installed()
    if args.file:
        what = [str(_checked(args.file))]
    else:
        _require_source()
        what = ["--only-upgrade", "airoxy"]
    _apt(context, "install", *what)
    after = _installed()
    if after == before:
        context.say(f"airoxy {after} is installed, as before.")
    else:
        context.say(f"airoxy {after} is installed, in the place of {before}.")


def _require_source() -> None:
    """apt's lists are renewed, and one of its sources has airoxy. Raises AiroxyError."""
    ask("apt-get", "-qq", "update", timeout=300)  # what an unreachable source has, apt still knows
    _, policy = ask("apt-cache", "policy", "airoxy")
    if not re.search(r"^ +-?\d+ (?!/var/lib/dpkg/status)\S+[:/]", policy, re.MULTILINE):
        raise AiroxyError(
            "No source of apt has airoxy. Name the package's file, or add a repository that has it:"
            " save its airoxy.sources in /etc/apt/sources.list.d."
        )


def _checked(file: Path) -> Path:
    """The absolute path, which apt tells from a package's name. Raises InvalidInput."""
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    status, name = ask("dpkg-deb", "--field", str(file), "Package")
    if status or name != "airoxy":
        raise InvalidInput(f"{file} is not a package of airoxy.")
    return file.resolve()


def _uninstall(context: Context, args: Namespace) -> int | None:
    require_root("uninstall")
    _installed()
    if not args.yes and not _agreed(context, _TO_BE_LOST if args.purge else _TO_BE_KEPT):
        context.say("Nothing has been removed.")
        return 1
    elsewhere = _database_elsewhere(context) if args.purge else None
    _apt(context, "purge" if args.purge else "remove", "--yes", "airoxy")
    context.say(f"airoxy has been removed. {_LOST if args.purge else _KEPT}")
    if elsewhere:
        context.say(f"But {elsewhere} is not the package's to delete: remove it yourself.")
    return None


def _database_elsewhere(context: Context) -> Path | None:
    """The database, if it is not where the package removes it."""
    database = Installation(context).database
    return None if database.is_relative_to(HOME) or not database.exists() else database


def _agreed(context: Context, warning: str) -> bool:
    if not context.input.isatty():
        raise InvalidInput("There is no terminal to ask on; give --yes.")
    context.say(warning)
    context.out.write("Go on? [y/N] ")
    context.out.flush()
    return context.input.readline().strip().lower() in ("y", "yes")


def _installed() -> str:
    """The version that dpkg has installed. Raises AiroxyError where it has none."""
    status, output = ask(
        "dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "airoxy"
    )
    state, _, version = output.partition(" ")
    if status or state != "installed":
        raise AiroxyError(
            "airoxy is not installed as a Debian package here; update or remove it in the way it"
            " came."
        )
    return version


def _apt(context: Context, *words: str) -> None:
    """apt-get speaks for itself. Raises AiroxyError."""
    context.out.flush()
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    if not context.input.isatty():
        environ |= UNATTENDED
    done = subprocess.run(["apt-get", *words], check=False, env=environ)
    if done.returncode:
        raise AiroxyError(f"apt-get {words[0]} ended with status {done.returncode}; see above.")


_DEB = argument(
    "file",
    "FILE.deb",
    "the package to install (default: the newest that a source of apt has)",
    type=Path,
    nargs="?",
)
COMMANDS = (
    Command(
        "update",
        "Install a newer version with apt",
        _update,
        (_DEB,),
        ": of a file, or the newest that one of apt's sources"
        " (/etc/apt/sources.list.d/airoxy.sources, for example) has. The database is migrated,"
        " after a copy was made, and open connections and streams go on.",
    ),
    Command(
        "uninstall",
        "Remove airoxy with apt",
        _uninstall,
        (flag("--purge", "remove configuration and data, too"), YES),
        ", after asking. Configuration and database stay, unless --purge is given.",
    ),
)
