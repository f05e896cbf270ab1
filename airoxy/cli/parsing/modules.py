"""The modules of commands by their first word, in the order of the help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

#: Each ends in GROUP or COMMANDS, and may have CHECKS for `airoxy doctor`.
MODULES = {
    "setup": "cli.setup",
    "api_key": "cli.api_keys.api_key",
    "group": "cli.api_keys.group",
    "token": "cli.tokens.token",
    "logs": "cli.stats.logs",
    "stats": "cli.stats.stats",
    "top": "cli.top.top",
    "audit": "cli.changes.audit",
    "apply": "cli.changes.apply",
    "export": "cli.changes.export",
    "fleet": "cli.fleet.fleet",
    "prices": "cli.stats.prices",
    "console": "cli.console.console",
    "notify": "cli.notify",
    "config": "cli.config",
    "backup": "cli.backup",
    "restore": "cli.restore",
    "units": "cli.system.services",
    "doctor": "cli.doctor",
    "package": "cli.system.package",
    "import_php": "legacy_php.command",
    "serve": "cli.serve",
    "job": "cli.job",
    "help": "cli.parsing.help",
    "complete": "cli.parsing.complete",
}


def load(names: Iterable[str] = MODULES) -> Iterator[ModuleType]:
    """These modules, imported."""
    for name in names:
        yield import_module(f"airoxy.{MODULES[name]}")
