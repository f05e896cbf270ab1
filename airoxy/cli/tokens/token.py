"""`airoxy token …`: the upstream tokens in the pool."""

from __future__ import annotations

from airoxy.cli.command import Command, Group
from airoxy.cli.parsing.arguments import HERE, JSON, YES
from airoxy.cli.tokens import add, auto, change, check, key, refresh, table
from airoxy.views.terms import TERMS

_ONE = (change.TOKEN, JSON)

GROUP = Group(
    "token",
    "Manage the pool of Anthropic access tokens",
    (
        Command(
            "add",
            "Add a token to the pool",
            add.run,
            add.ARGUMENTS,
            ". Anthropic is asked first whether it is good (GET /v1/models); one that is refused is"
            f" only added with --no-check.\n\n{TERMS}",
        ),
        Command(
            "auto",
            "Import the logins of Claude Code on this machine",
            auto.run,
            auto.ARGUMENTS,
            "Import the OAuth tokens that Claude Code has stored on this machine; one that is in"
            f" the pool already is updated where its login is newer. {TERMS}",
        ),
        Command("list", "List the tokens, masked, with their state", table.run_list, (HERE, JSON)),
        Command(
            "show",
            "Show all there is to know of a token",
            table.run_show,
            (change.TOKEN, HERE, JSON),
        ),
        Command(
            "set",
            "Change a token's name, note, priority, pool or limits",
            change.run_set,
            change.SETTABLE,
            "; what is not named stays. Of the tokens that are ready those with the highest"
            " priority are used. A client key with a pool uses the tokens of that pool only; one"
            " without uses every token. A token that has reached a limit is not used until it may"
            " again.",
        ),
        Command(
            "check",
            "Ask Anthropic whether the tokens are good",
            check.run,
            check.ARGUMENTS,
            " (GET /v1/models, which is free). Nothing is changed by the answer. The exit status"
            " is 1 if any is refused or cannot be checked.",
        ),
        Command("enable", "Use a token again", change.run_enable, _ONE),
        Command("disable", "Stop using a token", change.run_disable, _ONE),
        Command("toggle", "Disable a token, or enable it", change.run_toggle, _ONE),
        Command(
            "reset",
            "Clear a token's cooldowns, deactivation and failures",
            change.run_reset,
            _ONE,
        ),
        Command("remove", "Remove a token for good", change.run_remove, (change.TOKEN, YES, JSON)),
        Command("refresh", "Renew OAuth tokens now", refresh.run, refresh.ARGUMENTS),
        Command(
            "rotate-key",
            "Encrypt the tokens under a new key",
            key.run,
            (JSON,),
            "Encrypt the tokens in the database under a new key. With systemd the key is a"
            " credential that is encrypted for this machine, and the service is restarted, for"
            " which clients wait; without, it is in the file token.key beside the database. If this"
            " is broken off, nothing is lost; the next time completes it.",
        ),
    ),
)
