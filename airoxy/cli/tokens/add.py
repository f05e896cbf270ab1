"""`airoxy token add`: a new upstream token, checked before it joins the pool."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from itertools import count

from airoxy.cli.command import Context, add_json, add_words, given_words
from airoxy.cli.parsing.arguments import length_argument, name_argument
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


def add_arguments(parser: ArgumentParser) -> None:
    add_words(
        parser,
        NAME="what to call it; may be left out",
        TOKEN="sk-ant-…; asked for where not given, - reads it from standard input",
        REFRESH="the refresh token of an OAuth token",
    )
    parser.add_argument("--name", type=name_argument, help="what to call it")
    parser.add_argument(
        "--expires-in",
        type=length_argument,
        default=OAUTH_LIFETIME,
        metavar="TIME",
        help="how long an OAuth token is still valid, such as 8h or 28800 (default: 8h)",
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not ask Anthropic whether the token is good"
    )
    add_json(parser)


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
    if args.json:
        return context.json({"id": token_id, "name": name, "type": kind})
    context.say(f"Token {token_id} ({name}, {kind}) is in the pool.")
    return None


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
    name, words = args.name, given_words(args)
    if name is None and words and not words[0].startswith("sk-ant-") and words[0] != "-":
        try:
            name = name_argument(words.pop(0))
        except ArgumentTypeError as error:
            raise InvalidInput(f"{error}.") from None
    if len(words) > 2:
        raise InvalidInput("Give one name, and a token and its refresh token at the most.")
    token, refresh = (*words, "", "")[:2]
    if not token and context.input.isatty():
        return name, _ask("Token (sk-ant-…): "), refresh
    if token in ("", "-") and not (words and token == ""):
        # Editors begin a file with a mark.
        words = context.input.read().removeprefix("\ufeff").split()
        if not 1 <= len(words) <= 2:
            raise InvalidInput("Give the token on standard input, and its refresh token after it.")
        token, refresh = words[0], words[1] if len(words) == 2 else refresh
    return name, token, refresh


def _refresh_token(context: Context, given: str) -> str:
    refresh = given
    if not refresh and context.input.isatty():
        refresh = _ask("Refresh token (sk-ant-ort…): ")
    check_refresh_token(refresh)
    return refresh


def _ask(prompt: str) -> str:
    return getpass.getpass(prompt).strip()
