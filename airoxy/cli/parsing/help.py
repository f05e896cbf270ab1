"""`airoxy help` and `airoxy version`."""

from __future__ import annotations

import argparse

from airoxy import __version__
from airoxy.cli.command import Command, Context


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="WORD", nargs="*", help="a command, such as token add")


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


COMMANDS = (
    Command("help", "Show what a command does", _help, _add_words),
    Command("version", "Show the version of airoxy", _version),
)
