"""The command `airoxy`: its parser, and the one edge where errors become a line and a status."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from airoxy import __version__
from airoxy.cli.command import Command, Context, Group, show_help
from airoxy.cli.parsing.modules import MODULES, load
from airoxy.cli.parsing.parser import Parser
from airoxy.errors import EXIT_FAILED, EXIT_USAGE, AiroxyError


def groups(modules: Iterable[str] = MODULES) -> list[Group | Command]:
    """What there is to type."""
    found: list[Group | Command] = []
    for module in load(modules):
        found += [module.GROUP] if hasattr(module, "GROUP") else module.COMMANDS
    return found


def build_parser(modules: Iterable[str] = MODULES) -> Parser:
    """The whole command line, or that of some `modules`; manual and completion are made from it."""
    parser = Parser(
        prog="airoxy",
        description="Proxy in front of the Anthropic API: own keys, pooled tokens, usage and cost.",
        epilog="`airoxy COMMAND --help` tells more; `man airoxy` tells all.",
    )
    parser.add_argument("--version", action="version", version=f"airoxy {__version__}")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="configuration file (default: $AIROXY_CONFIG, else /etc/airoxy/airoxy.yaml)",
    )
    parser.set_defaults(run=show_help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for entry in groups(modules):
        entry.add_to(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0 done, 1 failed, 2 wrong usage, 78 wrong configuration."""
    _prepare_streams()
    words, modules = _understood(sys.argv[1:] if argv is None else argv)
    arguments = build_parser(modules).parse_args(words)
    context = Context(arguments.config, command=getattr(arguments, "command", ""))
    try:
        status: int = arguments.run(context, arguments) or 0
        sys.stdout.flush()
        return status
    except AiroxyError as error:
        _complain(*error.message.splitlines())
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output (`| head`) has seen enough
        return _give_up_output()
    except UnicodeEncodeError:
        _complain("A word of the command line is not in UTF-8.")
        return EXIT_USAGE
    except OSError as error:
        if error.filename is not None:  # such as one whose name is too long
            _complain(f"{os.fsdecode(error.filename)}: {error.strerror}.")
            return EXIT_FAILED
        if error.errno != errno.ENOSPC:
            raise
        _complain(f"The output cannot be written: {error.strerror}. Changes that it made are kept.")
        return _give_up_output()
    except Exception as error:
        if type(error).__module__ != "apsw":
            raise
        _complain(_of_the_database(context, error))
        return EXIT_FAILED
    finally:
        _tell_changes(context)


def _complain(*lines: str) -> None:
    """With words of the command line and of files in them, which must not speak to a terminal, and
    may be secrets in the wrong place."""
    from airoxy.core.names import printable, without_secrets

    for line in lines:
        print(f"airoxy: {without_secrets(printable(line))}", file=sys.stderr)


def _prepare_streams() -> None:
    """Any text can be printed, whatever the terminal's encoding. What is closed is /dev/null, or a
    file that is opened next would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, mode, closefd=False))
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> int:
    """Python's exit, which writes what is left, must be silent too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAILED


def _tell_changes(context: Context) -> None:
    """What the command has changed is in the journal, too."""
    if "database" not in vars(context):
        return
    from airoxy.cli.changes.audit import tell_journal

    tell_journal(context.database)


def _of_the_database(context: Context, error: Any) -> str:
    from airoxy.store.file.access import explain

    return explain(context.database_path, error).message


def _understood(argv: Sequence[str]) -> tuple[list[str], Iterable[str]]:
    """The words, with `token:add` as `token add`, and the modules that know the command: only its
    own where its first word says which that is, because importing all takes longer than it does."""
    words = list(argv)
    for place, word in enumerate(words):
        group, colon, command = word.partition(":")
        module = group.replace("-", "_")
        if module in MODULES:
            if colon and command:
                words[place : place + 1] = [group, command]
            return words, (module,)
        if not word.startswith("-") and (place == 0 or words[place - 1] != "--config"):
            break
    return words, MODULES


__all__ = ["build_parser", "main"]
