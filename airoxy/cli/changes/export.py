"""`airoxy export`: keys and groups as a file for `airoxy apply`."""

from __future__ import annotations

from argparse import Namespace

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import JSON
from airoxy.jobs.declared.export import declared, yaml_lines

_DESCRIPTION = (
    "Write all client keys and groups with their limits as a file that `airoxy apply` takes, to"
    " standard output: to keep it under version control, to review it, or to have the same keys on"
    " another host, where they get secrets of their own. No secret is in it, and no token."
)


def _run(context: Context, args: Namespace) -> None:
    document = declared(context.database)
    context.tell(args, document, *yaml_lines(document))


COMMANDS = (Command("export", "Write keys and groups as a file", _run, (JSON,), _DESCRIPTION),)
