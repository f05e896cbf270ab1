"""What `--json` prints, field by field: for the manual, and for the test that holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from airoxy.core.billing.usage import USAGE
from airoxy.core.limits.table import GROUP_LIMITS, LIMITS, Limit


class JsonDocument(NamedTuple):
    """The fields of one object that some commands print, or of each object of an array."""

    commands: tuple[str, ...]
    fields: dict[str, str]


_SPENT = {
    "spent_today_nanousd": "what was spent today, in billionths of a dollar",
    "spent_this_month_nanousd": "what was spent this month, in billionths of a dollar",
}
_COUNTS = {each.name: each.label.lower() for each in USAGE}
_CHANGING = ("list", "show", "set", "enable", "disable", "toggle")


def _limits(limits: Iterable[Limit]) -> dict[str, str]:
    return {limit.column: f"its limit: {limit.help}" for limit in limits}


_USED = {
    **_SPENT,
    "spent_this_week_nanousd": "what was spent this ISO week, in billionths of a dollar",
    "requests_last_minute": "its requests in the last sixty seconds",
    "tokens_last_minute": "input and output tokens in the last sixty seconds",
}


KEY = JsonDocument(
    tuple(f"api-key {verb}" for verb in _CHANGING),
    {
        "id": "the key's number",
        "name": "whom it is for",
        "masked": "its beginning and its end",
        "is_active": "false for one that was disabled",
        "created_at": "when it was made",
        "last_used_at": "when its last request came; where only sums are left of that time, when"
        " that day began; null for never",
        "note": "what was noted of it",
        "pool": "the pool whose tokens it uses; null for all tokens",
        "group_id": "the number of the group that it is in; null for none",
        "group_name": "the group's name",
        "old_secrets": "the secrets that it had before and that still work: masked and until",
        **_limits(LIMITS),
        **_USED,
        "spent_total_nanousd": "what was spent in total; null without such a limit",
    },
)
GROUP = JsonDocument(
    tuple(f"group {verb}" for verb in ("list", "show", "set")),
    {
        "id": "the group's number",
        "name": "what it is called",
        "created_at": "when it was made",
        "note": "what was noted of it",
        "api_keys": "the names of the client keys in it",
        **_limits(GROUP_LIMITS),
        **_USED,
        "spent_total_nanousd": "what was spent in total, in billionths of a dollar",
    },
)
TOKEN = JsonDocument(
    tuple(f"token {verb}" for verb in (*_CHANGING, "reset")),
    {
        "id": "the token's number",
        "name": "what it is called",
        "type": "api_key or oauth",
        "masked": "its beginning and its end",
        "is_active": "false for one that was disabled or given up",
        "inactive_reason": "why it was given up; null where a person disabled it",
        "inactive_since": "since when it is not active",
        "expires_at": "when an OAuth token expires",
        "refresh_failures": "how often in a row its refresh was refused",
        "refreshed_at": "when it was refreshed last",
        "retry_refresh_at": "when the next try is, after one that came to nothing",
        "refresh_interrupted_at": "since when a refresh is unanswered whose process has died; null"
        " for none",
        "last_used_at": "when a request was sent with it last",
        "created_at": "when it was added",
        "note": "what was noted of it",
        "priority": "of the tokens that are ready those with the highest are used",
        "pool": "the pool that it belongs to",
        "spend_per_day_nanousd": "its limit of a day, in billionths of a dollar",
        "spend_per_month_nanousd": "its limit of a month, in billionths of a dollar",
        "concurrent_requests": "how many requests may run with it at once",
        **{name: f"{text}; null without such a limit" for name, text in _SPENT.items()},
        "quota": "the windows of a subscription: window, used (a share), resets_at and seen_at",
        "is_readable": "false where the key that decrypts it cannot be found",
        "coolings": "its cooldowns: group and model_class (* for all), until and reason",
    },
)
REQUEST = JsonDocument(
    ("logs",),
    {
        "id": "the row's number",
        "requested_at": "when the request came",
        "api_key_id": "the client key's number",
        "api_key_name": "its name",
        "token_id": "the number of the token that was tried last",
        "token_name": "its name",
        "endpoint": "the path",
        "model": "the model",
        "is_stream": "whether the answer was streamed",
        **_COUNTS,
        "cost_nanousd": "the estimated cost, in billionths of a dollar",
        "status_code": "the HTTP status that the client got",
        "error_message": "why it failed",
        "ending": "complete, client_left or upstream_failed",
        "attempts": "how many tokens were tried",
        "ttfb_ms": "milliseconds until the answer began",
        "duration_ms": "milliseconds until it ended",
        "request_id": "Anthropic's id of the request",
        "is_estimate": "whether the counts are an estimate of airoxy's own",
        "uncounted": "whether its cost cannot be counted",
        "moved": "whether its conversation has changed its account",
        "move_cost_nanousd": "what that cost, in billionths of a dollar",
        "client_address": "where the client sits; null without log_client_addresses",
        "group_id": "the number of the group that the client key was in when the request came",
        "group_name": "its name",
    },
)
TOTALS = JsonDocument(
    ("stats",),
    {
        "requests": "how many there were",
        "successful": "those that were answered well",
        "failed": "all others",
        **_COUNTS,
        "cost_nanousd": "what they cost, in billionths of a dollar",
        "estimated": "requests whose counts are an estimate of airoxy's own",
        "uncounted": "requests whose cost cannot be counted",
        "moved": "requests whose conversation has changed its account",
        "move_cost_nanousd": "what that cost, in billionths of a dollar",
    },
)
_REMOVED = {"id": "the number", "name": "the name", "removed": "true"}
DOCUMENTS = (
    JsonDocument(
        ("api-key add",), {"id": "its number", "name": "whom it is for", "key": "the key itself"}
    ),
    KEY,
    JsonDocument(("group add",), {"id": "its number", "name": "what it is called"}),
    GROUP,
    JsonDocument(
        ("api-key rotate",),
        {
            "id": "its number",
            "name": "whom it is for",
            "key": "the new key itself; null with --finish",
            "old_secrets": "the secrets that it had before and that still work: masked and until",
        },
    ),
    JsonDocument(
        ("fleet join",),
        {
            "name": "the name of this host in the fleet",
            "changes": "what has changed of its keys, groups and tokens, in words",
        },
    ),
    JsonDocument(
        ("fleet status",),
        {
            "here": "this host: name, host (its number), rows_waiting, changes_waiting, contact_at"
            " and trouble",
            "hosts": "the hosts of the fleet, with joined_at and seen_at; none where PostgreSQL"
            " cannot be reached",
        },
    ),
    JsonDocument(
        ("token add",), {"id": "its number", "name": "its name", "type": "api_key or oauth"}
    ),
    TOKEN,
    JsonDocument(("api-key remove", "group remove", "token remove"), _REMOVED),
    JsonDocument(
        ("notify test",),
        {
            "way": "mail, webhook or command",
            "trouble": "why it could not be sent; null where it was",
        },
    ),
    JsonDocument(
        ("token check",),
        {
            "id": "its number",
            "name": "its name",
            "state": "good, limited, unpaid, refused or unreachable",
            "message": "what Anthropic answered",
            "organization": "the organization that it belongs to",
        },
    ),
    JsonDocument(
        ("token refresh",),
        {
            "id": "its number",
            "name": "its name",
            "renewed": "whether there is a newer token now",
            "message": "why not",
        },
    ),
    REQUEST,
    TOTALS,
    JsonDocument(
        ("apply",),
        {
            "changed": "whether anything is to be changed",
            "dry_run": "whether nothing was done",
            "changes": "what is changed: action (add, change or remove), kind, name, before, after",
            "others": "the keys and groups that are not in the file, and stay",
            "keys": "the new keys themselves by name; none with --secrets-to",
        },
    ),
    JsonDocument(
        ("audit",),
        {
            "id": "the entry's number",
            "at": "when it was",
            "actor": "who made the change; server for airoxy itself, unknown for another program",
            "uid": "the user's number; null where it was no command",
            "via": "the command, or what else asked for the change",
            "kind": "key, group or token",
            "subject_id": "the number of the key, group or token",
            "name": "what it was called then",
            "action": "added, changed, enabled, disabled, rotated, reset or removed",
            "before": "the fields that have changed, by column; null for what was added",
            "after": "the same fields as they became; null for what was removed",
        },
    ),
    JsonDocument(
        ("backup",),
        {
            "file": "where the copy is",
            "bytes": "its size",
            "taken_at": "of which moment it is",
            "key": "where the key is with which the tokens in it are encrypted",
        },
    ),
    JsonDocument(
        ("doctor",),
        {
            "check": "what was looked at",
            "state": "ok, warn, fail or fixed",
            "text": "how it is",
            "remedy": "what to do",
            "fixable": "whether --fix can",
        },
    ),
)


def unlike(document: JsonDocument, printed: dict[str, Any]) -> set[str]:
    """The fields that are printed and not described, or described and not printed."""
    return set(printed) ^ set(document.fields)
