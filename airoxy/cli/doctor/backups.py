"""Check of the nightly copies of the database, if the configuration asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation
from airoxy.jobs.backup import NAME
from airoxy.views.times import span

#: One night may be missed (seconds).
_OLD = 2 * 86400
_NOW = "sudo systemctl start airoxy-tidy-log, or airoxy job tidy-log"


def nightly(installation: Installation) -> Iterator[Finding]:
    """There is a copy, and it is not old."""
    directory = installation.config.backup.directory
    if directory is None:
        return
    try:
        age = installation.as_owner(lambda: _age(directory, installation.context.now()))
    except OSError as error:
        remedy = f"sudo install -d -o airoxy -g airoxy -m 700 {directory}"
        yield Finding(FAIL, f"{directory} cannot be used for backups: {error.strerror}.", remedy)
        return
    if age is None:
        yield Finding(WARN, f"There is no backup in {directory} yet.", _NOW)
    elif age > _OLD:
        text = f"The newest backup in {directory} is {span(age)} old."
        yield Finding(WARN, text, f"journalctl -u airoxy-tidy-log says why; then {_NOW}")
    else:
        yield Finding(OK, f"The newest backup in {directory} is {span(age)} old.")


def _age(directory: Path, now: float) -> float | None:
    """Of the newest copy, in seconds."""
    next(directory.iterdir(), None)  # glob is silent about what cannot be read
    return min((now - copy.stat().st_mtime for copy in directory.glob(NAME)), default=None)
