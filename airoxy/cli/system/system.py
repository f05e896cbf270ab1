"""The system around airoxy: root's rights, systemd's units, other programs.

Programs are started with a list of arguments, never by a shell, and speak English and UTC.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from airoxy.errors import AiroxyError

SOCKET, SERVICE = "airoxy.socket", "airoxy.service"
#: The agent of a fleet.
AGENT = "airoxy-fleet.service"
CONSOLE_SOCKET, CONSOLE = "airoxy-console.socket", "airoxy-console.service"
#: Timers, and the services that they start.
TIMERS = {
    "airoxy-refresh-tokens.timer": "airoxy-refresh-tokens.service",
    "airoxy-tidy-log.timer": "airoxy-tidy-log.service",
    "airoxy-notify.timer": "airoxy-notify.service",
}

#: For dpkg without a terminal: nobody is asked, and what the administrator has made of the
#: configuration stays. The first two are what dpkg forces anyway.
UNATTENDED = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DPKG_FORCE": "security-mac,downgrade,confdef,confold",
}

#: sd_booted(3)
BOOTED = Path("/run/systemd/system")

Unit = Mapping[str, str]


def require_root(command: str) -> None:
    """Raises AiroxyError for other users than root."""
    if os.geteuid() != 0:
        raise AiroxyError(f"Only root may do that: sudo airoxy {command}")


def booted() -> bool:
    """Whether systemd is process 1."""
    return BOOTED.exists()


def require_systemd() -> None:
    """Raises AiroxyError where there are no units to speak of."""
    if not booted():
        raise AiroxyError(
            "systemd does not run here, so there are no units;"
            " `airoxy serve` runs the server in the foreground."
        )


def ask(
    *command: str, timeout: float = 60, environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """A program's exit status and output; 127 where it is not installed."""
    try:
        done = subprocess.run(
            command, check=False, env={**_environment(), **(environ or {})}, timeout=timeout,
            text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except FileNotFoundError:
        return 127, f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} does not come to an end"
    return done.returncode, done.stdout.strip()


def systemctl(*words: str) -> None:
    """Raises AiroxyError with systemctl's own first line, which says where to look."""
    # Stopping waits for open streams, up to TimeoutStopSec of the service.
    status, output = ask("systemctl", *words, timeout=300)
    if status:
        lines = output.splitlines() or [f"systemctl {words[0]} failed"]
        raise AiroxyError(" ".join(lines[:2]))


def show(units: Sequence[str], properties: Sequence[str]) -> list[Unit]:
    """Properties of each unit; several values of one are lines of one text. Raises AiroxyError."""
    wanted = ",".join(("Id", *properties))
    status, output = ask("systemctl", "show", f"--property={wanted}", *units)
    if status:
        raise AiroxyError(f"systemctl show failed: {output or status}")
    shown: list[Unit] = []
    for block in output.split("\n\n"):
        unit: dict[str, str] = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                before = unit.get(name)
                unit[name] = f"{before}\n{value}" if before is not None else value
        shown.append(unit)
    return shown


def moment(text: str) -> float | None:
    """Unix time of systemd's "Sun 2026-11-22 18:15:44 UTC", None of an empty or n/a one."""
    with suppress(ValueError, IndexError):
        _, day, time, zone = text.split()
        if zone == "UTC":
            return datetime.datetime.fromisoformat(f"{day}T{time}+00:00").timestamp()
    return None


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SYSTEMD_COLORS": "0"}


def is_stopped() -> bool:
    """Whether there is a service of systemd's, and it does not run."""
    if not booted():
        return False
    with suppress(AiroxyError):
        (unit,) = show([SERVICE], ("LoadState", "ActiveState"))
        return unit["LoadState"] == "loaded" and unit["ActiveState"] not in ("active", "reloading")
    return False
