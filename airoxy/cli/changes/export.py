"""`airoxy export`: keys and groups as a file for `airoxy apply`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from airoxy.cli.command import Command, Context, add_json
from airoxy.jobs.declared.export import declared, yaml_lines

_DESCRIPTION = (
    "Write all client keys and groups with their limits as a file that `airoxy apply` takes, to"
    " standard output: to keep it under version control, to review it, or to have the same keys on"
    " another host, where they get secrets of their own. No secret is in it, and no token."
)


def _run(context: Context, args: Namespace) -> None:
    document = declared(context.database)
    if args.json:
        return context.json(document)
    for line in yaml_lines(document):
        context.say(line)
    return None


def _add_arguments(parser: ArgumentParser) -> None:
    add_json(parser)


COMMANDS = (
    Command("export", "Write keys and groups as a file", _run, _add_arguments, _DESCRIPTION),
)
