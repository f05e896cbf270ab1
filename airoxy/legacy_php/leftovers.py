"""Check of the doctor: whether the PHP installation that this package supersedes is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from airoxy.cli.doctor.finding import OK, WARN, Finding
from airoxy.cli.doctor.pool import ask
from airoxy.cli.installation import Installation

#: Where its install.sh put it.
DIRECTORY = Path("/var/www/airoxy")
_LEFT = ("etc/supervisor/conf.d/airoxy*.conf", "etc/cron.d/airoxy*", "usr/local/bin/airoxy")
_TABLES = ("etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*")


def php(installation: Installation) -> Iterator[Finding]:
    """Nothing of it runs beside us or waits to be taken over."""
    from airoxy.legacy_php.takeover import has_imported

    found = [f"/{path.relative_to(installation.root)}" for path in _leftovers(installation.root)]
    if not found:
        yield Finding(OK, "There is no older PHP installation.")
        return
    text = f"There is an older PHP installation: {', '.join(found)}."
    if ask(installation, has_imported) is True:
        yield Finding(WARN, text, "It has been taken over; stop it and remove it.")
    else:
        yield Finding(WARN, text, "Take it over with `sudo airoxy import-php`, then remove it.")


def _leftovers(root: Path) -> list[Path]:
    directory = root / DIRECTORY.relative_to("/")
    found = {directory} if directory.is_dir() else set()
    found.update(path for pattern in _LEFT for path in root.glob(pattern))
    for path in (path for pattern in _TABLES for path in root.glob(pattern)):
        with suppress(OSError):
            if str(DIRECTORY) in path.read_text(errors="replace"):
                found.add(path)
    return sorted(found)
