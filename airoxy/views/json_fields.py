"""The fields of keys, groups, tokens, requests and sums in JSON, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from airoxy.core.billing.usage import USAGE
from airoxy.core.limits.table import GROUP_LIMITS, LIMITS, Limit


class JsonDocument(NamedTuple):
    """The fields of one object that some commands print, or of each object of an array; those of an
    object within it are named after it: `socket.unit`."""

    commands: tuple[str, ...]
    fields: dict[str, str]
    #: Fields that are only there where they say something.
    optional: tuple[str, ...] = ()


def described(commands: str, /, **fields: str) -> JsonDocument:
    """What these commands print, named one by one with commas."""
    return JsonDocument(tuple(commands.split(", ")), fields)


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


KEY = described(
    ", ".join(f"api-key {verb}" for verb in _CHANGING),
    id="the key's number",
    name="whom it is for",
    masked="its beginning and its end",
    is_active="false for one that was disabled",
    created_at="when it was made",
    last_used_at="when its last request came; where only sums are left of that time, when"
    " that day began; null for never",
    note="what was noted of it",
    pool="the pool whose tokens it uses; null for all tokens",
    group_id="the number of the group that it is in; null for none",
    group_name="the group's name",
    old_secrets="the secrets that it had before and that still work: masked and until",
    **_limits(LIMITS),
    **_USED,
    spent_total_nanousd="what was spent in total; null without such a limit",
)
GROUP = described(
    ", ".join(f"group {verb}" for verb in ("list", "show", "set")),
    id="the group's number",
    name="what it is called",
    created_at="when it was made",
    note="what was noted of it",
    api_keys="the names of the client keys in it",
    **_limits(GROUP_LIMITS),
    **_USED,
    spent_total_nanousd="what was spent in total, in billionths of a dollar",
)
TOKEN = described(
    ", ".join(f"token {verb}" for verb in (*_CHANGING, "reset")),
    id="the token's number",
    name="what it is called",
    type="api_key or oauth",
    masked="its beginning and its end",
    is_active="false for one that was disabled or given up",
    inactive_reason="why it was given up; null where a person disabled it",
    inactive_since="since when it is not active",
    expires_at="when an OAuth token expires",
    refresh_failures="how often in a row its refresh was refused",
    refreshed_at="when it was refreshed last",
    retry_refresh_at="when the next try is, after one that came to nothing",
    refresh_interrupted_at="since when a refresh is unanswered whose process has died; null"
    " for none",
    last_used_at="when a request was sent with it last",
    created_at="when it was added",
    note="what was noted of it",
    priority="of the tokens that are ready those with the highest are used",
    pool="the pool that it belongs to",
    spend_per_day_nanousd="its limit of a day, in billionths of a dollar",
    spend_per_month_nanousd="its limit of a month, in billionths of a dollar",
    concurrent_requests="how many requests may run with it at once",
    **{name: f"{text}; null without such a limit" for name, text in _SPENT.items()},
    quota="the windows of a subscription: window, used (a share), resets_at and seen_at",
    is_readable="false where the key that decrypts it cannot be found",
    coolings="its cooldowns: group and model_class (* for all), until and reason",
)
REQUEST = described(
    "logs",
    id="the row's number",
    host="the host that it was on; only in a fleet",
    requested_at="when the request came",
    api_key_id="the client key's number",
    api_key_name="its name",
    token_id="the number of the token that was tried last",
    token_name="its name",
    endpoint="the path",
    model="the model",
    is_stream="whether the answer was streamed",
    **_COUNTS,
    cost_nanousd="the estimated cost, in billionths of a dollar",
    status_code="the HTTP status that the client got",
    error_message="why it failed",
    ending="complete, client_left or upstream_failed",
    attempts="how many tokens were tried",
    ttfb_ms="milliseconds until the answer began",
    duration_ms="milliseconds until it ended",
    request_id="Anthropic's id of the request",
    is_estimate="whether the counts are an estimate of airoxy's own",
    uncounted="whether its cost cannot be counted",
    moved="whether its conversation has changed its account",
    move_cost_nanousd="what that cost, in billionths of a dollar",
    client_address="where the client sits; null without log_client_addresses",
    group_id="the number of the group that the client key was in when the request came",
    group_name="its name",
)._replace(optional=("host",))
TOTALS = described(
    "stats",
    requests="how many there were",
    successful="those that were answered well",
    failed="all others",
    **_COUNTS,
    cost_nanousd="what they cost, in billionths of a dollar",
    estimated="requests whose counts are an estimate of airoxy's own",
    uncounted="requests whose cost cannot be counted",
    moved="requests whose conversation has changed its account",
    move_cost_nanousd="what that cost, in billionths of a dollar",
)
