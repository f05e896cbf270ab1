"""The command `airoxy`: its parser, and the one edge where errors become a line and a status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from airoxy import __version__
from airoxy.cli.command import Command, Context, Group
from airoxy.errors import EXIT_FAILED, EXIT_USAGE, AiroxyError

#: Every module of commands, in the order of the help; each ends in GROUP or COMMANDS.
MODULES = (
    "api_key",
    "token",
    "logs",
    "stats",
    "config",
    "units",
    "doctor",
    "package",
    "import_php",
    "serve",
    "job",
)


def groups() -> list[Group | Command]:
    """What there is to type."""
    found: list[Group | Command] = []
    for name in MODULES:
        module = import_module(f"airoxy.cli.{name}")
        found += [module.GROUP] if hasattr(module, "GROUP") else module.COMMANDS
    return found


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; the manual and the completion are made from it."""
    parser = argparse.ArgumentParser(
        prog="airoxy",
        description="Proxy in front of the Anthropic API: own keys, pooled tokens, usage and cost.",
        epilog="`airoxy COMMAND --help` tells more; `man airoxy` tells all.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"airoxy {__version__}")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="configuration file (default: $AIROXY_CONFIG, else /etc/airoxy/airoxy.yaml)",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for entry in groups():
        entry.add_to(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0 done, 1 failed, 2 wrong usage, 78 wrong configuration."""
    arguments = build_parser().parse_args(_new_spelling(sys.argv[1:] if argv is None else argv))
    try:
        return arguments.run(Context(arguments.config), arguments) or 0
    except AiroxyError as error:
        print(f"airoxy: {error.message}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output (`| head`) has seen enough; say nothing at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _new_spelling(argv: Sequence[str]) -> list[str]:
    """`token:add` is `token add`, wherever the command stands."""
    words = list(argv)
    names = {module.replace("_", "-") for module in MODULES}
    for place, word in enumerate(words):
        group, colon, command = word.partition(":")
        if colon and command and group in names:
            return [*words[:place], group, command, *words[place + 1 :]]
        if not word.startswith("-") and (place == 0 or words[place - 1] != "--config"):
            break
    return words


__all__ = ["EXIT_USAGE", "build_parser", "main"]
