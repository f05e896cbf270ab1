"""`airoxy status`: the units, the server's health, and when the timers run.

A service that does not run is not asked for its health, because that would start it.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airoxy.cli.command import Context
from airoxy.cli.fleet.texts import lag_text
from airoxy.cli.system.health import HealthAnswer, Own, ask_health, own_server
from airoxy.cli.system.system import AGENT, SERVICE, SOCKET, TIMERS, moment, require_systemd, show
from airoxy.config import Tls, make_config, read_document
from airoxy.errors import EXIT_FAILED
from airoxy.views.times import past, span, with_times

_HEAD = ("UNIT", "STATE", "AT BOOT", "")
_STATE = ("ActiveState", "SubState", "UnitFileState")


@dataclass(frozen=True)
class UnitState:
    """A unit's state; `enabled` is about the boot. Times are Unix seconds."""

    unit: str
    state: str
    detail: str
    enabled: str
    since: float | None

    def cells(self) -> tuple[str, str, str]:
        return self.unit, f"{self.state} ({self.detail})", self.enabled or "not installed"


@dataclass(frozen=True)
class Timer(UnitState):
    """The last run is the one of the timer's service."""

    last_run: float | None
    last_result: str | None
    next_run: float | None

    def text(self, now: float) -> str:
        result = f" ({self.last_result})" if self.last_result else ""
        upcoming = f"next in {span(self.next_run - now)}" if self.next_run else "no next run"
        return f"last {past(self.last_run, now)}{result}; {upcoming}"


@dataclass(frozen=True)
class Status:
    """What there is to show; `text` is the service's own status text, `fleet` the unit of the
    agent, where this host is one of a fleet."""

    socket: UnitState
    listen: list[str]
    service: UnitState
    pid: int | None
    text: str
    health: HealthAnswer | None
    fleet: UnitState | None
    timers: list[Timer]

    def document(self) -> dict[str, Any]:
        return {
            "socket": {**_document(self.socket), "listen": [bare(line) for line in self.listen]},
            "service": {**_document(self.service), "pid": self.pid, "text": self.text},
            "health": asdict(self.health) if self.health else None,
            "fleet": _document(self.fleet) if self.fleet else None,
            "timers": [_document(timer) for timer in self.timers],
        }

    def rows(self, now: float) -> Iterator[tuple[str, ...]]:
        yield *self.socket.cells(), ", ".join(map(bare, self.listen))
        since = f"since {past(self.service.since, now)}" if self.service.since else ""
        yield *self.service.cells(), "; ".join(filter(None, (since, self.text)))
        if self.health:
            state = self.health.body.get("status", "ok") if self.health.status else "no answer"
            yield self.health.url, str(state), "", str(self.health)
        if self.fleet:
            body = self.health.body.get("fleet") if self.health else None
            yield *self.fleet.cells(), lag_text(body) if body else ""
        for timer in self.timers:
            yield *timer.cells(), timer.text(now)


def _document(unit: UnitState) -> dict[str, Any]:
    return with_times(asdict(unit), ("since", "last_run", "next_run"))


def run(context: Context, args: Namespace) -> int:
    """0 if socket and service are active and the server answers."""
    require_systemd()
    status = look(own_server(_tls(context)))
    if args.json:
        context.json(status.document())
    else:
        context.table(status.rows(context.now()), _HEAD)
    answers = status.health is not None and status.health.status is not None
    return 0 if answers and status.socket.state == "active" else EXIT_FAILED


def look(own: Own) -> Status:
    """How everything is now."""
    socket, service = show(
        [SOCKET, SERVICE], (*_STATE, "ActiveEnterTimestamp", "Listen", "MainPID", "StatusText")
    )
    listen = socket.get("Listen", "").splitlines()
    runs = service["ActiveState"] in ("active", "reloading")
    health = ask_health(listen, own) if runs else None
    in_fleet = health is not None and "fleet" in health.body
    agent = show([AGENT], (*_STATE, "ActiveEnterTimestamp")) if in_fleet else []
    return Status(
        _unit(socket),
        listen,
        _unit(service),
        int(service["MainPID"]) or None,
        service["StatusText"],
        health,
        next(map(_unit, agent), None),
        timers(),
    )


def timers() -> list[Timer]:
    """How the timers stand."""
    properties = (*_STATE, "Result", "LastTriggerUSec", "NextElapseUSecRealtime")
    shown = show([*TIMERS, *TIMERS.values()], (*properties, "ExecMainExitTimestamp"))
    units = {unit["Id"]: unit for unit in shown}
    return [_timer(units[timer], units[service]) for timer, service in TIMERS.items()]


def bare(listen: str) -> str:
    """The address in one of systemd's "[::]:3800 (Stream)"."""
    return listen.partition(" (")[0]


def _tls(context: Context) -> Tls:
    """As configured, whatever else may be wrong with the file."""
    try:
        return make_config(read_document(context.config_file).values).tls
    except FileNotFoundError:
        return make_config().tls


def _timer(timer: Mapping[str, str], service: Mapping[str, str]) -> Timer:
    ended = moment(service["ExecMainExitTimestamp"])
    return Timer(
        **asdict(_unit(timer)),
        last_run=moment(timer["LastTriggerUSec"]) or ended,
        last_result=service["Result"] if ended else None,
        next_run=moment(timer["NextElapseUSecRealtime"]),
    )


def _unit(shown: Mapping[str, str]) -> UnitState:
    since = moment(shown.get("ActiveEnterTimestamp", ""))
    return UnitState(
        shown["Id"],
        shown["ActiveState"],
        shown["SubState"],
        shown["UnitFileState"],
        since if shown["ActiveState"] == "active" else None,
    )
