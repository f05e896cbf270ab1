"""`airoxy serve`: the server in the foreground, which is what airoxy.service runs."""

from __future__ import annotations

import argparse
import os

from airoxy.cli.command import Command, Context


def _serve(context: Context, _: argparse.Namespace) -> int:
    from airoxy.cli.system.owner import become_owner
    from airoxy.server.process.serve import serve

    if os.geteuid() == 0:
        become_owner(context.config.database)
    return serve(context.config_path)


COMMANDS = (
    Command(
        "serve",
        "Run the server in the foreground",
        _serve,
        description=(
            "Serve on the sockets that systemd passes, else on host and port of the configuration. "
            "SIGHUP reloads configuration and code without losing a connection; SIGTERM lets "
            "running requests finish, a second one breaks them off."
        ),
    ),
)
