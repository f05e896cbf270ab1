"""`airoxy api-key rotate`: a new secret for a key, while the old one still works for a time."""

from __future__ import annotations

import secrets
from argparse import ArgumentTypeError, Namespace

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import JSON, argument, either, flag, id_of, length_argument
from airoxy.core.keys import given_key, new_key
from airoxy.store.keys import OldSecret, find_key, rotate_key
from airoxy.views import keys as views
from airoxy.views import paste
from airoxy.views.times import rfc3339, span, zoned_moment

DESCRIPTION = (
    "Give a key a new secret and show it once. It stays the same key, with its number, limits and"
    " history. The old secret works for another day, or for as long as --overlap says, so that"
    " clients can change over one by one; it ends to the second, and no later than an earlier"
    " rotation has promised. --overlap 0 ends it at once, with all those before it: do that when a"
    " secret has leaked. An old secret that has ended is answered with 401. If the key is disabled,"
    " none of its secrets work."
)
_DEFAULT, _MOST = 86_400, 365 * 86_400


def _overlap(text: str) -> int:
    seconds = 0 if text.strip() in ("0", "0s", "0m", "0h", "0d") else length_argument(text)
    if seconds > _MOST:
        raise ArgumentTypeError("a year (365d) is the longest")
    return seconds


ARGUMENTS = (
    id_of("api-key"),
    argument(
        "--overlap",
        "TIME",
        "for how long the old secret still works: 24h (the default), 7d, 0 for not at all",
        type=_overlap,
        default=_DEFAULT,
    ),
    either(
        flag(
            "--stdin",
            "read the new key from standard input, one that another host of yours has made",
        ),
        flag(
            "--finish",
            "make no new secret, and stop accepting the old ones: all clients have the new one",
        ),
    ),
    JSON,
)


def run(context: Context, args: Namespace) -> None:
    key, now, db = _new_secret(context, args), context.now(), context.database
    key_id = context.key_id(args.id)
    before = find_key(db, key_id)
    old = rotate_key(db, key_id, key, 0 if args.finish else args.overlap, now)
    name = before["name"]
    if args.json:
        shown = [{"masked": each.masked, "until": rfc3339(each.until)} for each in old]
        return context.json({"id": key_id, "name": name, "key": key, "old_secrets": shown})
    if key is None:
        return context.say(f"Key {key_id} ({name}): only {before['masked']} is let in now.")
    context.say(f"Key {key_id} for {name} has a new secret, shown this once:\n\n    {key}\n")
    context.say(f"{_of_the_old(context, old, before['masked'], now)}\n")
    if (state := views.state(before, now)) != "active":
        context.warn(f"Warning: the key is {state}; no secret of it is let in.")
    return context.say(paste.block(context.client_url, key))


def _new_secret(context: Context, args: Namespace) -> str | None:
    if args.finish:
        return None
    return given_key(context.input.readline().strip()) if args.stdin else new_key(secrets.choice)


def _of_the_old(context: Context, old: list[OldSecret], masked: str, now: float) -> str:
    if not old:
        return f"The old one ({masked}) is not let in any more."
    ends = [
        f"{each.masked} until {zoned_moment(each.until, context.zone)}"
        f" ({span(each.until - int(now))})"
        for each in old
    ]
    return f"Still let in: {', '.join(ends)}."
