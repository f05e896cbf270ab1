"""`airoxy console`: the web console in the foreground, and who may use it."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airoxy import journal
from airoxy.cli.command import Context, Group
from airoxy.cli.console import tokens, users

if TYPE_CHECKING:
    import apsw

_DESCRIPTION = (
    "Run the web console in the foreground, until Ctrl-C. With systemd it is not needed:"
    " airoxy-console.socket starts the console when somebody looks. What is listed below manages"
    " who may use it; see airoxy-console(8)."
)
#: The doctor's checks that the console's user can make, within its sandbox.
_CHECKS = ("packages", "configuration", "disk", "database", "migrations", "token key", "backups",
           "health", "keys", "tokens")  # fmt: skip


def _run(context: Context, _: Namespace) -> None:
    from airoxy.cli.system.health import ask_if_running, own_server
    from airoxy.cli.system.owner import become_owner
    from airoxy.console.serve import serve_console
    from airoxy.fleet.commit import commit_on_both
    from airoxy.fleet.overview.others import FleetOthers

    config = context.config
    journal.set_up(config.log_level)
    own = own_server(config.tls)
    if os.geteuid() == 0:
        become_owner(config.database)

    def ask_health() -> tuple[int | None, Mapping[str, Any]]:
        answer = ask_if_running(config, own)
        return answer.status, answer.body

    connect = context.connect  # each time anew: the host may join a fleet while the console runs

    def share(db: apsw.Connection) -> None:
        commit_on_both(db, connect)

    def say(text: str) -> None:
        context.say(text)
        context.out.flush()

    others = FleetOthers(connect)
    try:
        serve_console(
            config, ask_health=ask_health, examine=lambda: _examine(context), share=share, say=say,
            others=others,
        )  # fmt: skip
    finally:
        others.close()


def _examine(context: Context) -> list[dict[str, Any]]:
    """The doctor's findings, as far as the console may look, on a context of its own: it is asked
    in one of several threads."""
    from airoxy.cli.doctor import checks, document, examine
    from airoxy.cli.installation import Installation

    installation = Installation(Context(context.config_path))
    wanted = [check for check in checks() if check.name in _CHECKS]
    return [document(finding) for finding in examine(installation, wanted, repair=False)]


class _ConsoleGroup(Group):
    """A group whose first word is a command as well."""

    def add_to(self, commands: Any) -> None:
        super().add_to(commands)
        parser: ArgumentParser = commands.choices[self.name]
        parser.description = _DESCRIPTION
        parser.set_defaults(run=_run)


GROUP = _ConsoleGroup("console", "Run the web console and say who may use it", (
    Group("user", "Manage the users of the console", users.COMMANDS),
    Group("token", "Manage the tokens of programs that use the console's API", tokens.COMMANDS),
))  # fmt: skip
