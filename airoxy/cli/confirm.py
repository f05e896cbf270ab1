"""Questions to the person at the terminal."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from airoxy.cli.command import Context
from airoxy.errors import EXIT_FAILED


def add_yes(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def agreed(context: Context, args: Namespace, question: str) -> bool:
    """Whether it may be done: by --yes, or by a person who is asked. Scripts are not asked."""
    if args.yes or not context.input.isatty():
        return True
    context.err.write(f"{question} [y/N] ")
    context.err.flush()
    return context.input.readline().strip().lower() in ("y", "yes")


def remove_agreed(
    context: Context, args: Namespace, what: str, found: tuple[int, str],
    remove: Callable[[], object], told: str,
) -> int | None:  # fmt: skip
    """Remove `what`, of which the id and the name are `found`, unless a person does not want that;
    the exit status."""
    if not agreed(context, args, f"Remove {what}?"):
        context.warn("Nothing has been removed.")
        return EXIT_FAILED
    remove()
    number, name = found
    if args.json:
        context.json({"id": number, "name": name, "removed": True})
    else:
        context.say(told)
    return None
