"""`airoxy help` and `airoxy version`."""

from __future__ import annotations

import argparse

from airoxy import __version__
from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import argument


def _help(context: Context, args: argparse.Namespace) -> None:
    from airoxy.cli import build_parser

    parser = build_parser()
    for name in " ".join(args.words).replace(":", " ").split():
        below = parser.commands_below()
        if name not in below:
            parser.no_command(name)
        parser = below[name]
    context.say(parser.format_help().rstrip())


def _version(context: Context, _: argparse.Namespace) -> None:
    context.say(f"airoxy {__version__}")


_WORDS = argument("words", "WORD", "a command, such as token add", nargs="*")
COMMANDS = (
    Command("help", "Show what a command does", _help, (_WORDS,)),
    Command("version", "Show the version of airoxy", _version),
)
