"""Questions to the person at the terminal."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from airoxy.cli.command import Context
from airoxy.errors import EXIT_FAILED


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
    context.tell(args, {"id": number, "name": name, "removed": True}, told)
    return None
