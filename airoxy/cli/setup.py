"""`airoxy setup`: the first token, the first key, and what to paste."""

from __future__ import annotations

import argparse
import secrets

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import name_argument
from airoxy.cli.tokens import add
from airoxy.config.defaults import default_limits
from airoxy.core.keys import new_key
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import keys, tokens
from airoxy.views import paste

#: So often a person may try again.
_TRIES = 3


def _run(context: Context, args: argparse.Namespace) -> None:
    if not context.input.isatty():
        raise InvalidInput(
            "There is no terminal to ask on; use `airoxy token add NAME -` and"
            " `airoxy api-key add NAME`."
        )
    _first_token(context, args)
    key = _first_key(context)
    if key is None:
        context.say("\nairoxy is set up. `airoxy api-key add NAME` makes another key.")
    else:
        context.say(f"\nairoxy is set up. For the client, shown this once:\n\n{key}")
        context.say(f"\n{paste.block(context.client_url, key)}")


def _first_token(context: Context, args: argparse.Namespace) -> None:
    if found := tokens.list_tokens(context.database, context.now()):
        names = ", ".join(row["name"] for row in found[:5])
        context.say(f"✓ {len(found)} token{'s' * (len(found) > 1)} in the pool: {names}")
        return
    context.say("? The first upstream token: an API key of Anthropic's console (sk-ant-api…), or a")
    context.say("  subscription's OAuth token (sk-ant-oat…). What you type is not shown.")
    for number in range(_TRIES):
        given = argparse.Namespace(
            name=None, expires_in=add.OAUTH_LIFETIME, no_check=args.no_check, json=False
        )
        try:
            add.run(context, given)
            return
        except AiroxyError as error:
            if number == _TRIES - 1:
                raise
            context.warn(f"✗ {error.message}")


def _first_key(context: Context) -> str | None:
    """None where there is one already, which cannot be shown again."""
    if found := keys.list_keys(context.database):
        names = ", ".join(row["name"] for row in found[:5])
        context.say(f"✓ {len(found)} client key{'s' * (len(found) > 1)}: {names}")
        return None
    key, limits = new_key(secrets.choice), default_limits(context.config, context.moment())
    for number in range(_TRIES):
        try:
            name = name_argument(_ask(context, "? Whom is the first client key for? [laptop] "))
            keys.add_key(context.database, name, key, context.now(), limits)
            return key
        except argparse.ArgumentTypeError as error:
            if number == _TRIES - 1:
                raise InvalidInput(f"{error}.") from None
            context.warn(f"✗ {error}.")
    return None


def _ask(context: Context, question: str) -> str:
    context.out.write(question)
    context.out.flush()
    answer = context.input.readline()
    if not answer:
        raise InvalidInput("Nothing was typed.")
    return answer.strip() or "laptop"


COMMANDS = (
    Command(
        "setup",
        "Add the first token, make the first key and show what to paste",
        _run,
        (add.NO_CHECK,),
        "Ask for the first upstream token, check it, make the first client key, and show what to"
        " paste into a client. What is there already is left as it is.",
    ),
)
