"""Checks of the port: airoxy listens there, no other program does, and it answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from airoxy import __version__
from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.system.health import HealthAnswer, ask_health, ask_server, own_server
from airoxy.cli.system.listeners import ListeningSocket, Process, holders, listeners
from airoxy.cli.system.services import silent_addresses
from airoxy.cli.system.status import bare
from airoxy.cli.system.system import SERVICE, SOCKET, show, systemctl

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - the default of `host`


def strangers(installation: Installation) -> Iterator[Finding]:
    """No other program has the port."""
    port = installation.config.port
    wanted = [ipaddress.ip_address(host) for host in installation.config.hosts or _EVERYWHERE]
    for listener in listeners(port):
        if any(listener.meets(address) for address in wanted) and not _is_ours(listener):
            who = ", ".join(map(str, _holders(listener))) or "a process that cannot be seen"
            text = f"Port {port} is taken by {who}, on {listener.address}."
            remedy = "Stop it, or choose another `port` in airoxy.yaml; then sudo airoxy restart"
            yield Finding(FAIL, text, remedy)
            return
    yield Finding(OK, f"No other program has port {port}.")


def _is_ours(listener: ListeningSocket) -> bool:
    """systemd holds the socket, and the service has it from there."""
    return any(each.pid == 1 or each.group == SERVICE for each in _holders(listener))


def _holders(listener: ListeningSocket) -> list[Process]:
    return holders(f"socket:[{listener.inode}]")


def addresses(_: Installation) -> Iterator[Finding]:
    """The socket listens where its unit says."""
    unit = show([SOCKET], ["ActiveState", "Listen"])[0]
    if unit["ActiveState"] != "active":
        return
    if silent := silent_addresses():
        text = f"Nobody listens on {', '.join(silent)}, to which the socket was changed."
        yield Finding(FAIL, text, "sudo airoxy restart", _restart)
    else:
        where = ", ".join(map(bare, unit.get("Listen", "").splitlines()))
        yield Finding(OK, f"The socket listens on {where}.")


def _restart() -> str:
    systemctl("restart", SOCKET, SERVICE)
    return "The socket and the service have been restarted."


def health(installation: Installation) -> Iterator[Finding]:
    """The server answers, has this program's version, and reports no trouble."""
    own = own_server(installation.config.tls)
    found: HealthAnswer | None
    if not installation.has_units:
        found = ask_server(installation.config.first_host, installation.config.port, own)
        if found.status is None:
            text = f"{found.url} is out of reach ({found})."
            yield Finding(WARN, text, "`airoxy serve` starts the server.")
            return
    else:
        units = show([SERVICE, SOCKET], ["ActiveState", "Listen"])
        if units[0]["ActiveState"] != "active":
            return
        found = ask_health(units[1].get("Listen", "").splitlines(), own)
    if found:
        yield _state(found, _reload if installation.has_units else None)


def _state(found: HealthAnswer, reload: Callable[[], str] | None) -> Finding:
    if found.status is None and "remedy" in found.body:
        # It still serves, with its former configuration.
        text = f"{found.url}: {found.body['reason']}."
        return Finding(WARN, text, found.body["remedy"], reload)
    if found.status is None:
        remedy = "journalctl -u airoxy; sudo airoxy restart"
        return Finding(FAIL, f"{found.url} is out of reach ({found}).", remedy)
    if found.body["version"] != __version__:
        text = f"The server is still of version {found.body['version']}, not {__version__}."
        return Finding(WARN, text, "sudo airoxy reload", reload)
    if "database_moved" in found.body:
        remedy = "Put it back where it was, or: sudo airoxy restart"
        return Finding(FAIL, f"{found.url}: {found.body['warning']}.", remedy)
    state = OK if found.status == 200 and "warning" not in found.body else WARN
    return Finding(state, f"{found.url}: {found}.")


def _reload() -> str:
    systemctl("reload", SERVICE)
    return f"The server takes over version {__version__}, configuration and certificate."
