"""`airoxy config …`: the settings, where each comes from, and the mistakes in them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from airoxy.cli.command import Command, Context, Group
from airoxy.cli.parsing.arguments import JSON, argument
from airoxy.config import DEFAULT_PATH, SCHEMA, load_config
from airoxy.views.config import document, plain


def _show(context: Context, args: Namespace) -> None:
    config = context.config
    if args.json:
        return context.json(document(config))
    settings = [(s.key, plain(config.value(s.key)), config.origin(s.key)) for s in SCHEMA]
    return context.table(
        ((key, _words(value), source) for key, value, source in settings),
        ("SETTING", "VALUE", "FROM"),
    )


def _words(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} row{'s' * (len(value) > 1)}"
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else str(value)


def _check(context: Context, args: Namespace) -> None:
    from airoxy.cli.system.certificate import check_certificate
    from airoxy.config.certificate import is_hidden

    config = load_config(args.file or context.config_path, context.environ)
    _ = config.pricing  # the shipped price table may have mistakes
    if is_hidden(config):
        context.warn("Only root may look at certificate and key: sudo airoxy config check")
    else:
        check_certificate(config, context.now(), context.warn)
    if config.source is None:
        return context.say(f"There is no {DEFAULT_PATH}; everything is at its default.")
    return context.say(f"{config.source} is fine.")


_FILE = argument("file", "FILE", "the file (default: the one in use)", type=Path, nargs="?")

GROUP = Group(
    "config",
    "Show and check the configuration",
    (
        Command("show", "Show the configuration in force and where it comes from", _show, (JSON,)),
        Command(
            "check",
            "Name every mistake in the configuration, with its line",
            _check,
            (_FILE,),
            ". Certificate and key are looked at, too: a pair that cannot be served, has expired or"
            " is not valid yet is a mistake; names that do not fit this machine, and an issuer that"
            " it does not trust, are warned of. The exit status is 78 when there is a mistake.",
        ),
    ),
)
