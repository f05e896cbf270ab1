"""`airoxy token …`: the upstream tokens in the pool."""

from __future__ import annotations

from argparse import ArgumentParser

from airoxy.cli.command import Command, Group, add_id, add_json
from airoxy.cli.fleet.everybody import add_list_arguments
from airoxy.cli.tokens import add, auto, change, check, key, refresh, table
from airoxy.views.terms import TERMS


def _show_arguments(parser: ArgumentParser) -> None:
    add_id(parser, "token")
    add_list_arguments(parser)


GROUP = Group(
    "token",
    "Manage the pool of Anthropic access tokens",
    (
        Command(
            "add",
            "Add a token to the pool",
            add.run,
            add.add_arguments,
            description="Add a token to the pool. Anthropic is asked first whether it is good"
            f" (GET /v1/models); one that is refused is only added with --no-check.\n\n{TERMS}",
        ),
        Command(
            "auto",
            "Import the logins of Claude Code on this machine",
            auto.run,
            auto.add_arguments,
            description=(
                "Import the OAuth tokens that Claude Code has stored on this machine; one that is"
                f" in the pool already is updated where its login is newer. {TERMS}"
            ),
        ),
        Command(
            "list", "List the tokens, masked, with their state", table.run_list, add_list_arguments
        ),
        Command("show", "Show all there is to know of a token", table.run_show, _show_arguments),
        Command(
            "set",
            "Change a token's name, note, priority, pool or limits",
            change.run_set,
            change.set_arguments,
            "Change a token's name, note, priority, pool or limits; what is not named stays. Of"
            " the tokens that are ready those with the highest priority are used. A client key"
            " with a pool uses the tokens of that pool only; one without uses every token. A token"
            " that has reached a limit is not used until it may again.",
        ),
        Command(
            "check",
            "Ask Anthropic whether the tokens are good",
            check.run,
            check.add_arguments,
            "Ask Anthropic whether the tokens are good (GET /v1/models, which is free). Nothing is"
            " changed by the answer. The exit status is 1 if any is refused or cannot be checked.",
        ),
        Command("enable", "Use a token again", change.run_enable, change.change_arguments),
        Command("disable", "Stop using a token", change.run_disable, change.change_arguments),
        Command(
            "toggle", "Disable a token, or enable it", change.run_toggle, change.change_arguments
        ),
        Command(
            "reset",
            "Clear a token's cooldowns, deactivation and failures",
            change.run_reset,
            change.change_arguments,
        ),
        Command("remove", "Remove a token for good", change.run_remove, change.remove_arguments),
        Command("refresh", "Renew OAuth tokens now", refresh.run, refresh.add_arguments),
        Command(
            "rotate-key",
            "Encrypt the tokens under a new key",
            key.run,
            add_json,
            description="Encrypt the tokens in the database under a new key. With systemd the key"
            " is a credential that is encrypted for this machine, and the service is restarted, for"
            " which clients wait; without, it is in the file token.key beside the database. If this"
            " is broken off, nothing is lost; the next time completes it.",
        ),
    ),
)
