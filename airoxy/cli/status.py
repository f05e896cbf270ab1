"""`airoxy status`: the units, what the server says of itself, and when the timers run.

The law: it only looks. A service that does not run is not asked, since that would start it.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airoxy.cli.command import Context
from airoxy.cli.listeners import parse_listen
from airoxy.cli.show import past, span
from airoxy.cli.system import SERVICE, SOCKET, TIMERS, moment, require_systemd, show
from airoxy.errors import EXIT_FAILED

_HEAD = ("UNIT", "STATE", "AT BOOT", "")
#: A server that is alive answers in milliseconds.
_PATIENCE = 5.0
_STATE = ("ActiveState", "SubState", "UnitFileState")


@dataclass(frozen=True)
class Unit:
    """A unit's state; `enabled` is about the boot. Times are Unix seconds."""

    unit: str
    state: str
    detail: str
    enabled: str
    since: float | None

    def cells(self) -> tuple[str, str, str]:
        return self.unit, f"{self.state} ({self.detail})", self.enabled or "not installed"


@dataclass(frozen=True)
class Timer(Unit):
    """The last run is the one of the timer's service."""

    last_run: float | None
    last_result: str | None
    next_run: float | None

    def text(self, now: float) -> str:
        result = f" ({self.last_result})" if self.last_result else ""
        upcoming = f"next in {span(self.next_run - now)}" if self.next_run else "no next run"
        return f"last {past(self.last_run, now)}{result}; {upcoming}"


@dataclass(frozen=True)
class Health:
    """What GET /health answered; `status` is None where nobody did, and `body` has the reason."""

    url: str
    status: int | None
    body: Mapping[str, Any]

    def __str__(self) -> str:
        if self.status is None:
            return str(self.body["reason"])
        ready = self.body.get("tokens_ready", 0)
        told = [f"version {self.body.get('version')}", f"up {span(self.body.get('uptime', 0))}"]
        told.append(f"{ready} token{'' if ready == 1 else 's'} ready")
        told += [str(self.body[name]) for name in ("reason", "warning") if name in self.body]
        return "; ".join(told)


@dataclass(frozen=True)
class Status:
    """What there is to show; `text` is the service's own word about itself."""

    socket: Unit
    listen: list[str]
    service: Unit
    pid: int | None
    text: str
    health: Health | None
    timers: list[Timer]

    def document(self) -> dict[str, Any]:
        return {
            "socket": {**asdict(self.socket), "listen": [bare(line) for line in self.listen]},
            "service": {**asdict(self.service), "pid": self.pid, "text": self.text},
            "health": asdict(self.health) if self.health else None,
            "timers": [asdict(timer) for timer in self.timers],
        }

    def rows(self, now: float) -> Iterator[tuple[str, ...]]:
        yield *self.socket.cells(), ", ".join(map(bare, self.listen))
        since = f"since {past(self.service.since, now)}" if self.service.since else ""
        yield *self.service.cells(), "; ".join(filter(None, (since, self.text)))
        if self.health:
            state = self.health.body.get("status", "ok") if self.health.status else "no answer"
            yield self.health.url, str(state), "", str(self.health)
        for timer in self.timers:
            yield *timer.cells(), timer.text(now)


def run(context: Context, args: Namespace) -> int:
    """0 if socket and service are active and the server answers."""
    require_systemd()
    status = look()
    if args.json:
        context.json(status.document())
    else:
        context.table(status.rows(context.now()), _HEAD)
    answers = status.health is not None and status.health.status is not None
    return 0 if answers and status.socket.state == "active" else EXIT_FAILED


def look() -> Status:
    """How everything is now."""
    socket, service = show(
        [SOCKET, SERVICE], (*_STATE, "ActiveEnterTimestamp", "Listen", "MainPID", "StatusText")
    )
    listen = socket.get("Listen", "").splitlines()
    runs = service["ActiveState"] in ("active", "reloading")
    return Status(
        _unit(socket),
        listen,
        _unit(service),
        int(service["MainPID"]) or None,
        service["StatusText"],
        ask_health(listen) if runs else None,
        timers(),
    )


def ask_health(listen: list[str]) -> Health | None:
    """Ask the server behind these addresses of the socket unit, by way of loopback where it
    listens there; None if none of them is of TCP."""
    found = next(filter(None, map(parse_listen, listen)), None)
    return ask_server(str(found[0]), found[1]) if found else None


def ask_server(address: str, port: int) -> Health:
    """Ask the server that listens on this address, by way of loopback where it is a wildcard."""
    # A socket for both families is found by either; IPv6 may be off, or the only one.
    loopback = {"::": ("127.0.0.1", "::1"), "0.0.0.0": ("127.0.0.1",)}  # noqa: S104
    for host in loopback.get(address, (address,)):
        health = _ask(host, port)
        if health.status is not None:
            break
    return health


def timers() -> list[Timer]:
    """How the timers stand."""
    properties = (*_STATE, "Result", "LastTriggerUSec", "NextElapseUSecRealtime")
    shown = show([*TIMERS, *TIMERS.values()], (*properties, "ExecMainExitTimestamp"))
    units = {unit["Id"]: unit for unit in shown}
    return [_timer(units[timer], units[service]) for timer, service in TIMERS.items()]


def bare(listen: str) -> str:
    """The address in one of systemd's "[::]:3800 (Stream)"."""
    return listen.partition(" (")[0]


def _timer(timer: Mapping[str, str], service: Mapping[str, str]) -> Timer:
    ended = moment(service["ExecMainExitTimestamp"])
    return Timer(
        **asdict(_unit(timer)),
        last_run=moment(timer["LastTriggerUSec"]) or ended,
        last_result=service["Result"] if ended else None,
        next_run=moment(timer["NextElapseUSecRealtime"]),
    )


def _unit(shown: Mapping[str, str]) -> Unit:
    since = moment(shown.get("ActiveEnterTimestamp", ""))
    return Unit(
        shown["Id"],
        shown["ActiveState"],
        shown["SubState"],
        shown["UnitFileState"],
        since if shown["ActiveState"] == "active" else None,
    )


def _ask(host: str, port: int) -> Health:
    import http.client  # a fifth of the time in which other commands start

    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/health"
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = json.loads(answer.read(1 << 16))
        if "version" in body:
            return Health(url, answer.status, body)
        reason = "another program answers there"
    except (ValueError, TypeError, http.client.HTTPException):
        reason = "another program answers there"
    except OSError as error:
        reason = error.strerror or str(error)
    finally:
        connection.close()
    return Health(url, None, {"reason": reason})
