"""Checks of systemd's units: loaded, enabled, running, up to date.

Without systemd, or for another configuration than the one that the units follow, one line says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.doctor.pool import ask as ask_database
from airoxy.cli.installation import HOME, Installation
from airoxy.cli.system.generated import stale_units
from airoxy.cli.system.status import Timer
from airoxy.cli.system.status import timers as look_at_timers
from airoxy.cli.system.system import (
    CONSOLE,
    CONSOLE_SOCKET,
    SERVICE,
    SOCKET,
    TIMERS,
    Unit,
    ask,
    booted,
    show,
    systemctl,
)
from airoxy.views.times import past, span

_REFRESH = "airoxy-refresh-tokens.timer"
_DRILL = "Leave it off while production uses the same logins: a refresh token works once."
_STATE = ("LoadState", "ActiveState", "SubState", "UnitFileState")


def definitions(installation: Installation) -> Iterator[Finding]:
    """systemd works with the unit files, and the values from the configuration, as they are now."""
    if not booted():
        yield Finding(OK, "systemd does not run here; `airoxy serve` works without it.")
        return
    if not installation.packaged:
        text = (
            f"systemd has no units for {installation.config_path}; `airoxy serve` works without it."
        )
        yield Finding(OK, text)
        return
    stale = [
        unit["Id"]
        for unit in show(
            [SOCKET, SERVICE, CONSOLE_SOCKET, CONSOLE, *TIMERS, *TIMERS.values()],
            ["NeedDaemonReload"],
        )
        if unit["NeedDaemonReload"] == "yes"
    ]
    if not stale and stale_units():
        stale = [str(installation.config_path)]
    if stale:
        text = f"systemd has not yet seen the changes of {', '.join(stale)}."
        yield Finding(FAIL, text, "sudo airoxy restart", _reload)
    else:
        yield Finding(OK, "systemd knows the units as they are.")


def _reload() -> str:
    systemctl("daemon-reload")
    return "systemd has read the units and the configuration again."


def unit(name: str, _: Installation) -> Iterator[Finding]:
    """It is active, and will be after the next boot."""
    yield _unit(name)


def timers(installation: Installation) -> Iterator[Finding]:
    """The jobs are done when they should be, and their last run was good."""
    now = installation.context.now()
    for timer in look_at_timers():
        finding = _unit(timer.unit)
        if finding.state != OK and timer.unit == _REFRESH and _is_drill(installation):
            finding = Finding(WARN, f"{timer.unit} is off for a restore drill.", _DRILL)
        yield _runs(timer, now) if finding.state == OK else finding


def _is_drill(installation: Installation) -> bool:
    from airoxy.store.file.drill import is_drill

    return ask_database(installation, is_drill) is True


def _runs(timer: Timer, now: float) -> Finding:
    # The condition of a job with nothing to do is no fault.
    if timer.last_result not in (None, "success", "exec-condition"):
        job = TIMERS[timer.unit]
        text = f"The last run of {job} ended badly, {past(timer.last_run, now)}."
        return Finding(FAIL, text, f"journalctl -u {job} says why.")
    upcoming = f"; the next is in {span(timer.next_run - now)}" if timer.next_run else ""
    last = f"the last run was {past(timer.last_run, now)}" if timer.last_run else "no run yet"
    text = f"{timer.unit}: {last}{upcoming}."
    return Finding(OK, text)


def _unit(name: str) -> Finding:
    found = show([name], _STATE)[0]
    how = f"{found['ActiveState']} ({found['SubState']})"
    if found["LoadState"] == "masked" or found["UnitFileState"].startswith("masked"):
        remedy = f"sudo systemctl unmask {name}; sudo systemctl enable --now {name}"
        return Finding(FAIL, f"{name} is masked.", remedy, partial(_unmask, name))
    if found["LoadState"] != "loaded":
        remedy = f"systemd-analyze verify {name}; sudo apt-get install --reinstall airoxy"
        return Finding(FAIL, f"{name} cannot be loaded ({found['LoadState']}).", remedy)
    if found["UnitFileState"] != "enabled":
        text = f"{name} is {found['UnitFileState']}: it does not start at boot."
        remedy = f"sudo systemctl enable --now {name}"
        return Finding(FAIL, text, remedy, partial(_enable, name))
    if found["ActiveState"] not in ("active", "reloading"):
        remedy = f"sudo systemctl start {name}; journalctl -u {name} says what happened."
        return Finding(FAIL, f"{name} is {how}.", remedy, partial(_start, name))
    return Finding(OK, f"{name} is {how} and enabled.")


def _unmask(name: str) -> str:
    systemctl("unmask", name)
    systemctl("unmask", "--runtime", name)
    return f"{name} is not masked any more. {_enable(name)}"


def _enable(name: str) -> str:
    systemctl("enable", name)
    return f"{name} is enabled. {_start(name)}"


def _start(name: str) -> str:
    ask("systemctl", "reset-failed", name)
    systemctl("start", name)
    return f"{name} has been started."


def sandbox(installation: Installation) -> Iterator[Finding]:
    """The server and the jobs may write where the database is."""
    path = installation.database.parent
    if path == HOME:
        return
    services = show(
        [SERVICE, CONSOLE, *TIMERS.values()], ["ProtectSystem", "StateDirectory", "ReadWritePaths"]
    )
    barred = [
        unit["Id"]
        for unit in services
        if unit.get("ProtectSystem") == "strict"
        and not any(path.is_relative_to(place) for place in _writable(unit))
    ]
    if barred:
        text = f"{', '.join(barred)} may not write to {path}, where the database is."
        remedy = f"sudo systemctl edit {' '.join(barred)}: [Service] ReadWritePaths={path}"
        yield Finding(FAIL, text, remedy)
    else:
        yield Finding(OK, f"The server and the jobs may write to {path}.")


def _writable(unit: Unit) -> list[Path]:
    states = [Path("/var/lib", name) for name in unit.get("StateDirectory", "").split()]
    return states + [Path(name.lstrip("-+")) for name in unit.get("ReadWritePaths", "").split()]
