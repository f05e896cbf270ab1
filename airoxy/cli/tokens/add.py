"""`airoxy token add`: a new upstream token, checked before it joins the pool."""

from __future__ import annotations

import getpass
from argparse import Namespace
from itertools import count

from airoxy.cli.command import Context
from airoxy.cli.parsing.arguments import (
    JSON,
    argument,
    flag,
    given_words,
    length_argument,
    named,
    typed_name,
    words,
)
from airoxy.core.keys import check_refresh_token, token_type
from airoxy.core.pool import Token
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import tokens
from airoxy.store.names import is_free
from airoxy.views.terms import TERMS

#: How long Anthropic's OAuth access tokens live when they are new (seconds).
OAUTH_LIFETIME = 28800
#: What a token is called that is given no name.
_USUAL_NAMES = {"api_key": "console", "oauth": "subscription"}


NO_CHECK = flag("--no-check", "do not ask Anthropic whether the token is good")
ARGUMENTS = (
    words(
        NAME="what to call it; may be left out",
        TOKEN="sk-ant-…; asked for where not given, - reads it from standard input",
        REFRESH="the refresh token of an OAuth token",
    ),
    named("what to call it"),
    argument(
        "--expires-in",
        "TIME",
        "how long an OAuth token is still valid, such as 8h or 28800 (default: 8h)",
        type=length_argument,
        default=OAUTH_LIFETIME,
    ),
    NO_CHECK,
    JSON,
)


def run(context: Context, args: Namespace) -> None:
    name, token, refresh = _given(context, args)
    kind = token_type(token)
    if kind == "oauth":
        refresh = _refresh_token(context, refresh)
        context.warn(TERMS)
    elif refresh:
        raise InvalidInput("An API key has no refresh token; leave the second one out.")
    db, now = context.database, context.now()
    name = name or free_name(context, _USUAL_NAMES[kind])
    tokens.refuse_known(db, name, token, refresh or None)
    if not args.no_check:
        _check(context, Token(0, name, kind, token, None, 0))
    token_id = tokens.add_token(
        db,
        name=name,
        type=kind,
        token=token,
        refresh_token=refresh or None,
        expires_at=int(now) + args.expires_in if kind == "oauth" else None,
        now=now,
    )
    context.tell(
        args,
        {"id": token_id, "name": name, "type": kind},
        f"Token {token_id} ({name}, {kind}) is in the pool.",
    )


def free_name(context: Context, wanted: str) -> str:
    """The name, or with a number behind it where there is such a token already."""
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
    return next(name for name in names if is_free(context.database, "tokens", name))


def _check(context: Context, token: Token) -> None:
    """Raises AiroxyError for a token that Anthropic refuses."""
    from airoxy.upstream.check import GOOD, REFUSED, check_token

    found = check_token(context.config.upstream, token, context.environ)
    if found.state == REFUSED:
        raise AiroxyError(f"{found.message}. It is not added; --no-check adds it all the same.")
    context.warn(f"{'' if found.state == GOOD else 'Warning: '}{found.message}.")


def _given(context: Context, args: Namespace) -> tuple[str | None, str, str]:
    """Name (None where there is none), token and refresh token ("" for none), from the arguments,
    standard input or a prompt."""
    name, given = args.name, given_words(args)
    if name is None and given and not given[0].startswith("sk-ant-") and given[0] != "-":
        name = typed_name(given.pop(0))
    if len(given) > 2:
        raise InvalidInput("Give one name, and a token and its refresh token at the most.")
    token, refresh = (*given, "", "")[:2]
    if not token and context.input.isatty():
        return name, _ask("Token (sk-ant-…): "), refresh
    if token in ("", "-") and not (given and token == ""):
        # Editors begin a file with a mark.
        given = context.input.read().removeprefix("\ufeff").split()
        if not 1 <= len(given) <= 2:
            raise InvalidInput("Give the token on standard input, and its refresh token after it.")
        token, refresh = given[0], given[1] if len(given) == 2 else refresh
    return name, token, refresh


def _refresh_token(context: Context, given: str) -> str:
    refresh = given
    if not refresh and context.input.isatty():
        refresh = _ask("Refresh token (sk-ant-ort…): ")
    check_refresh_token(refresh)
    return refresh


def _ask(prompt: str) -> str:
    return getpass.getpass(prompt).strip()
