"""`airoxy start`, `stop`, `restart`, `reload`: the socket and the service, by systemctl.

Invariant: nothing is started, restarted or reloaded with a configuration that has a mistake.
"""

from __future__ import annotations

import subprocess
from argparse import Namespace

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import JSON
from airoxy.cli.system.generated import stale_units
from airoxy.cli.system.listeners import listeners, parse_listen
from airoxy.cli.system.status import bare
from airoxy.cli.system.status import run as status
from airoxy.cli.system.system import (
    CONSOLE,
    CONSOLE_SOCKET,
    SERVICE,
    SOCKET,
    TIMERS,
    require_root,
    require_systemd,
    show,
    systemctl,
)
from airoxy.errors import AiroxyError

_NIGHTLY = TIMERS["airoxy-tidy-log.timer"]


def _start(context: Context, _: Namespace) -> None:
    _require("start")
    _check_configuration(context)
    _catch_up()
    systemctl("start", SOCKET, SERVICE)
    context.say(f"airoxy runs and listens on {_addresses()}.")


def _stop(context: Context, _: Namespace) -> None:
    _require("stop")
    # Both: the socket alone would start the service again for the next client.
    systemctl("stop", SOCKET, SERVICE)
    context.say("airoxy is stopped; clients are refused.")


def _restart(context: Context, _: Namespace) -> None:
    _require("restart")
    _check_configuration(context)
    systemctl("daemon-reload")  # runs the generator
    systemctl("restart", *([SOCKET, SERVICE] if silent_addresses() else [SERVICE]))
    systemctl("try-restart", CONSOLE_SOCKET)
    context.say(f"airoxy has been restarted and listens on {_addresses()}.")


def _reload(context: Context, _: Namespace) -> None:
    _require("reload")
    _check_configuration(context, strict=True)
    if show([SERVICE], ["ActiveState"])[0]["ActiveState"] not in ("active", "reloading"):
        raise AiroxyError("airoxy.service does not run; try: sudo airoxy start")
    stale = _catch_up()
    systemctl("reload", SERVICE)
    systemctl("try-restart", CONSOLE)
    context.say(
        "airoxy takes over program, configuration and certificate without losing a connection."
    )
    if stale:
        context.warn("For the change of host, port or interval: sudo airoxy restart")


def _catch_up() -> set[str]:
    """Let systemd see what TLS wants of the service, and give the units that are behind all the
    same: of a socket's address that was changed systemd lets go at daemon-reload."""
    try:
        stale = stale_units()
    except (OSError, subprocess.CalledProcessError):
        return set()
    if not stale or not stale <= {SERVICE, CONSOLE, _NIGHTLY}:
        return stale
    systemctl("daemon-reload")
    return set()


def _require(command: str) -> None:
    require_systemd()
    require_root(command)


def _check_configuration(context: Context, *, strict: bool = False) -> None:
    """A certificate that has expired is better than no service, but no reason to take it over."""
    from airoxy.cli.system.certificate import check_certificate

    _ = context.config.pricing
    check_certificate(context.config, context.now(), context.warn, strict=strict)


def _addresses() -> str:
    return ", ".join(map(bare, _listen()))


def silent_addresses() -> list[str]:
    """The addresses of the socket unit on which nobody listens. Of an address that was changed
    systemd lets go at daemon-reload; the new one it takes up when the socket is restarted."""
    silent = []
    for line in _listen():
        wanted = parse_listen(line)
        if wanted and wanted[0] not in {each.address for each in listeners(wanted[1])}:
            silent.append(bare(line))
    return silent


def _listen() -> list[str]:
    return show([SOCKET], ["Listen"])[0].get("Listen", "").splitlines()


COMMANDS = (
    Command("start", "Start airoxy: its socket and its service", _start),
    Command(
        "stop",
        "Stop airoxy: its service and its socket",
        _stop,
        description="Stop airoxy: its service, when open streams have ended, and its socket, so"
        " that the next client is refused and does not start it again. The timers go on.",
    ),
    Command(
        "restart",
        "Restart airoxy, with changed units and addresses too",
        _restart,
        description="Restart airoxy, when open streams have ended; clients that come meanwhile"
        " wait. A change of host, port or token_refresh_interval in the configuration takes effect"
        " with it.",
    ),
    Command(
        "reload",
        "Put configuration and program into force without losing a connection",
        _reload,
        description="Put configuration, certificate and program into force without losing a"
        " connection or a stream. A configuration with mistakes is refused, with all of them and"
        " exit status 78; so is a certificate that cannot be served, has expired or is not"
        " valid yet.",
    ),
    Command("status", "Show how socket, service and timers are doing", status, (JSON,)),
)
