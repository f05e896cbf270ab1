"""Questions to the person at the terminal."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from airoxy.cli.command import Context


def add_yes(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def agreed(context: Context, args: Namespace, question: str) -> bool:
    """Whether it may be done: by --yes, or by a person who is asked. Scripts are not asked."""
    if args.yes or not context.input.isatty():
        return True
    context.err.write(f"{question} [y/N] ")
    context.err.flush()
    return context.input.readline().strip().lower() in ("y", "yes")
