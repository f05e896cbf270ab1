"""`airoxy apply`: keys and groups as a file says."""

from __future__ import annotations

import secrets
from argparse import Namespace
from collections.abc import Mapping
from contextlib import closing, nullcontext
from datetime import tzinfo
from pathlib import Path

from airoxy.cli.api_keys.limits import warn_of_unknown_models
from airoxy.cli.changes.secrets_file import SecretsFile
from airoxy.cli.command import Command, Context
from airoxy.cli.confirm import agreed
from airoxy.cli.parsing.arguments import JSON, YES, argument, flag
from airoxy.core.keys import new_key
from airoxy.errors import EXIT_FAILED, ConfigError, Conflict
from airoxy.jobs.declared.keys_file import KeysFile, read_keys_file
from airoxy.jobs.declared.plan import KeyChange, Plan, carry_out, document, make_plan
from airoxy.store.schema import transaction
from airoxy.views.changes import field_changes, quoted

_DESCRIPTION = (
    "Make client keys and groups what FILE says, which is YAML in the form of `airoxy export`:"
    " new ones are made, those that are there get exactly the fields that stand there, and what is"
    " not named has its default. Only `enabled` stays as it is where it is not named, so that a"
    " key that was disabled in a hurry is not let in again. All is done or nothing; a second time"
    " changes nothing. What is not in FILE stays, unless --prune removes it; a section that is"
    " missing is not looked at. The secrets of new keys are shown once, or added to a file. A key"
    " is known by its name: `airoxy api-key set` renames one. Exit status 78 tells of mistakes in"
    " FILE, which are all named with their lines."
)
_SIGNS = {"add": "+", "change": "~", "remove": "-"}
_STDIN = Path("/dev/stdin")


def _run(context: Context, args: Namespace) -> int | None:
    file = _read(_STDIN if str(args.file) == "-" else args.file, context.zone)
    opened = args.secrets_to and not args.dry_run
    with closing(SecretsFile(args.secrets_to)) if opened else nullcontext() as target:
        plan = make_plan(context.database, file, prune=args.prune)
        for change in plan.changes:
            warn_of_unknown_models(context, change.entry.values if change.entry else {})
        if not args.json:
            _show(context, plan)
        made: dict[str, str] = {}
        if plan.changes and not args.dry_run:
            removed = [change for change in plan.changes if change.action == "remove"]
            if removed and not agreed(context, args, f"Remove {_count(removed)} for good?"):
                context.warn("Nothing has been changed.")
                return EXIT_FAILED
            made = _carry_out(context, file, plan, target, prune=args.prune)
    _tell(context, args, plan, made)
    return None


def _read(path: Path, zone: tzinfo) -> KeysFile:
    try:
        return read_keys_file(path, zone)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; name one that exists") from None


def _carry_out(
    context: Context, file: KeysFile, plan: Plan, target: SecretsFile | None, *, prune: bool
) -> dict[str, str]:
    db = context.database
    try:
        with transaction(db):
            # While a person was asked, another may have changed something.
            if make_plan(db, file, prune=prune) != plan:
                raise Conflict("The keys were changed meanwhile; look again.")
            made = carry_out(db, plan, context.now(), lambda: new_key(secrets.choice))
            if made and target:
                target.add(made)
    except BaseException:
        if target:
            target.undo()
        raise
    return made


def _show(context: Context, plan: Plan) -> None:
    for change in plan.changes:
        context.say(f"{_SIGNS[change.action]} {change.kind} {quoted(change.name)}")
        fields = field_changes(change.before, change.after) if change.action != "remove" else []
        width = max((len(each.field) for each in fields), default=0)
        for field, before, after in fields:
            text = after if change.action == "add" else f"{before} → {after}"
            context.say(f"    {field:<{width}}  {text}")


def _count(changes: list[KeyChange]) -> str:
    """Such as "2 keys and 1 group"."""
    numbers = {kind: sum(each.kind == kind for each in changes) for kind in ("key", "group")}
    return " and ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in numbers.items() if n)


def _tell(context: Context, args: Namespace, plan: Plan, made: Mapping[str, str]) -> None:
    if args.json:
        shown = {} if args.secrets_to else made
        return context.json(document(plan, dry_run=args.dry_run, keys=shown))
    if args.secrets_to and made:
        context.say(f"\nThe secrets of {len(made)} new keys are in {args.secrets_to} (0600).")
    elif made:
        context.say("\nNew keys, shown this once:")
        for name, key in made.items():
            context.say(f"    {key}  {quoted(name)}")
    context.say(_summary(plan, dry_run=args.dry_run))
    return None


def _summary(plan: Plan, *, dry_run: bool) -> str:
    words = {"add": "added", "change": "changed", "remove": "removed"}
    found = {
        done: [c for c in plan.changes if c.action == action] for action, done in words.items()
    }
    told = [f"{_count(changes)} {done}" for done, changes in found.items() if changes]
    told.append(f"{plan.unchanged} as they were" if told else "Nothing to change")
    if plan.others:
        told.append(f"{len(plan.others)} not in the file")
    return f"{'Dry run: ' if dry_run else ''}{', '.join(told)}."


_ARGUMENTS = (
    argument("file", "FILE", "the file; - is standard input", type=Path),
    flag("--dry-run", "show what would be changed"),
    flag("--prune", "remove keys and groups that are not in FILE"),
    argument(
        "--secrets-to",
        "FILE",
        "add the secrets of new keys to this file (YAML, mode 0600) instead of showing them",
        type=Path,
    ),
    YES,
    JSON,
)
COMMANDS = (
    Command("apply", "Make keys and groups what a file says", _run, _ARGUMENTS, _DESCRIPTION),
)
