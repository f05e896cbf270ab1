"""`airoxy token …`: the upstream credentials in the pool."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from airoxy.cli.command import Command, Context, Group, add_id, add_json
from airoxy.cli.show import name_argument, past, span
from airoxy.cli.tokens import auto, key
from airoxy.cli.tokens.terms import TERMS
from airoxy.core.keys import token_type
from airoxy.core.pool import Scope
from airoxy.errors import EXIT_FAILED, InvalidInput
from airoxy.store import leases, tokens

#: How long Anthropic's OAuth access tokens live when they are new (seconds).
OAUTH_LIFETIME = 28800


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "token", metavar="TOKEN", nargs="?", help="sk-ant-…; asked for where not given, - reads it"
    )
    parser.add_argument(
        "refresh", metavar="REFRESH", nargs="?", help="the refresh token of an OAuth token"
    )
    parser.add_argument("--name", required=True, type=name_argument, help="what to call it")
    parser.add_argument(
        "--expires-in",
        type=int,
        default=OAUTH_LIFETIME,
        metavar="SECONDS",
        help="how long an OAuth token is still valid (default: %(default)s)",
    )
    add_json(parser)


def _add(context: Context, args: Namespace) -> None:
    token, refresh = _secrets(context, args.token, args.refresh)
    kind = token_type(token)
    if args.expires_in <= 0:
        raise InvalidInput("--expires-in must be a positive number of seconds.")
    if kind == "oauth":
        refresh = _refresh_token(context, refresh)
        context.warn(TERMS)
    elif refresh:
        raise InvalidInput("An API key has no refresh token; leave the second one out.")
    now = context.now()
    token_id = tokens.add_token(
        context.database,
        name=args.name,
        type=kind,
        token=token,
        refresh_token=refresh or None,
        expires_at=int(now) + args.expires_in if kind == "oauth" else None,
        now=now,
    )
    if args.json:
        return context.json({"id": token_id, "name": args.name, "type": kind})
    context.say(f"Token {token_id} ({args.name}, {kind}) is in the pool.")
    return None


def _secrets(context: Context, token: str | None, refresh: str | None) -> tuple[str, str]:
    """The token and its refresh token (or ""), from the arguments, standard input or a prompt."""
    if token is None and context.input.isatty():
        return _ask(context, "Token (sk-ant-…): "), refresh or ""
    if token is None or token == "-":
        words = context.input.read().split()
        if not 1 <= len(words) <= 2:
            raise InvalidInput("Give the token on standard input, and its refresh token after it.")
        return words[0], words[1] if len(words) == 2 else refresh or ""
    return token, refresh or ""


def _refresh_token(context: Context, given: str) -> str:
    refresh = given or _ask(context, "Refresh token (sk-ant-ort…): ")
    if not refresh.startswith("sk-ant-ort"):
        raise InvalidInput("An OAuth token needs its refresh token, which begins with sk-ant-ort.")
    return refresh


def _ask(context: Context, prompt: str) -> str:
    return getpass.getpass(prompt).strip() if context.input.isatty() else ""


def _list(context: Context, args: Namespace) -> None:
    now = context.now()
    rows = tokens.list_tokens(context.database, now)
    if args.json:
        return context.json(rows)
    if not rows:
        return context.say("No tokens yet: airoxy token add --name NAME")
    context.table(
        (
            (
                str(row["id"]),
                row["name"],
                row["type"],
                row["masked"],
                state(row, now),
                _expiry(row, now),
                str(row["refresh_failures"]),
                past((row["last_used_at"] or 0) / 1e9, now),
            )
            for row in rows
        ),
        ("ID", "NAME", "TYPE", "TOKEN", "STATE", "EXPIRES", "FAILURES", "LAST USED"),
        right=("ID", "FAILURES"),
    )
    return None


def state(row: Mapping[str, Any], now: float) -> str:
    """What the pool makes of a token, with the reason and the time left."""
    if not row["is_readable"]:
        return "unreadable: its key is not here"
    if not row["is_active"]:
        return f"inactive: {row['inactive_reason']}" if row["inactive_reason"] else "disabled"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    coolings = [
        f"cooling {_scope(cooling)}{span(cooling['until'] - now)} ({cooling['reason']})"
        for cooling in row["coolings"]
    ]
    return ", ".join(coolings) or "ready"


def _scope(cooling: Mapping[str, Any]) -> str:
    scope = str(Scope(cooling["group"], cooling["model_class"]))
    return f"{scope} " if scope else ""


def _expiry(row: Mapping[str, Any], now: float) -> str:
    left = row["expires_at"] and row["expires_at"] - now
    return "-" if not left else f"in {span(left)}" if left > 0 else f"{span(-left)} ago"


def _remove(context: Context, args: Namespace) -> None:
    tokens.remove_token(context.database, args.id, context.now())
    context.say(f"Token {args.id} is removed; its history stays.")


def _toggle(context: Context, args: Namespace) -> None:
    active = tokens.toggle_token(context.database, args.id, context.now())
    context.say(f"Token {args.id} is {'active' if active else 'disabled'} now.")


def _reset(context: Context, args: Namespace) -> None:
    tokens.reset_token(context.database, args.id, context.now())
    context.say(f"Token {args.id} is active and not cooling.")


def _refresh_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--id", type=int, metavar="ID", help="only this token")


def _refresh(context: Context, args: Namespace) -> int:
    """Renews one token or all; 1 if any could not be."""
    from airoxy.jobs.refresh import refresh_token, refresh_tokens

    db, oauth = context.database, context.config.oauth
    rows = tokens.list_tokens(db, context.now())
    if args.id is None:
        outcomes = list(refresh_tokens(db, oauth, context.clock))
    else:
        tokens.check_token(db, args.id)
        states = leases.refreshing(db, args.id)
        outcomes = [refresh_token(db, s.id, s.token, oauth, context.clock) for s in states]
    for row in rows:
        if row["type"] == "api_key" and args.id in (None, row["id"]):
            context.say(f"Token {row['id']} ({row['name']}): skipped, an API key does not expire")
    for outcome in outcomes:
        context.say(f"Token {outcome.token_id} ({outcome.name}): {outcome.message}")
    return 0 if all(outcome.renewed for outcome in outcomes) else EXIT_FAILED


GROUP = Group(
    "token",
    "Manage the pool of Anthropic access tokens",
    (
        Command("add", "Add a token to the pool", _add, _add_arguments, description=TERMS),
        Command(
            "auto",
            "Import the logins of Claude Code on this machine",
            auto.run,
            auto.add_arguments,
            description=TERMS,
        ),
        Command("list", "List the tokens, masked, with their state", _list, add_json),
        Command("remove", "Remove a token for good", _remove, lambda p: add_id(p, "token")),
        Command("toggle", "Disable a token, or enable it", _toggle, lambda p: add_id(p, "token")),
        Command(
            "reset",
            "Clear a token's cooling, deactivation and failures",
            _reset,
            lambda p: add_id(p, "token"),
        ),
        Command("refresh", "Renew OAuth tokens now", _refresh, _refresh_arguments),
        Command(
            "rotate-key",
            "Encrypt the tokens under a new key",
            key.run,
            description="Encrypt the tokens in the database under a new key. With systemd the key"
            " is a credential that is encrypted for this machine, and the service is restarted, for"
            " which clients wait; without, it is in the file token.key beside the database. If this"
            " is broken off, nothing is lost; the next time completes it.",
        ),
    ),
)
