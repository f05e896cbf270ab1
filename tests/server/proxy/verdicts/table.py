"""The table of verdicts as rows: what the upstream says, and what follows from it."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.fake_anthropic import Script

HOUR, DAY = 3600, 86400
WINDOW = "anthropic-ratelimit-unified"
MOVED = ("messages", "claude-opus-5-5")
ALL = ("*", "*")
ORGANISATION = "OAuth authentication is currently not allowed for this organization."
CORS = "CORS requests must set 'anthropic-dangerous-direct-browser-access' header"


@dataclass(frozen=True)
class Row:
    """`asked` names the accounts in the order in which they were asked: "AB" is the first and
    then another. What becomes of the first one's token is one of `cools` (for which endpoint group
    and model class), `dead`, and nothing at all."""

    says: Callable[[Script], object]
    asked: str
    status: int = 200
    #: How many requests are answered so; None is all.
    times: int | None = 1
    cools: tuple[str, str] | None = None
    #: For how long it cools (seconds), seen from now.
    seconds: Callable[[], float] = lambda: 0
    #: It cools, but not for longer than the request waits.
    brief: bool = False
    dead: bool = False
    oauth: bool = False
    conversation: bool = False
    tokens: int = 3
    path: str = "/v1/messages"


def rejected(*windows: tuple[str, str, int]) -> Callable[[Script], object]:
    """A 429 with these windows of a subscription, which reset in so many seconds."""

    def says(script: Script) -> object:
        told = {}
        for name, status, seconds in windows:
            told[f"{WINDOW}-{name}-status"] = status
            told[f"{WINDOW}-{name}-reset"] = str(int(time.time()) + seconds)
        return script.status(429, "Error", headers=told)

    return says


def regain(script: Script) -> object:
    on = time.strftime("%Y-%m-%d at %H:%M UTC", time.gmtime(time.time() + 3 * DAY))
    told = f"You have reached your specified API usage limits. You will regain access on {on}."
    return script.status(400, told)


def until_next_month() -> float:
    now = time.gmtime()
    year, month = divmod(now.tm_year * 12 + now.tm_mon, 12)
    return calendar.timegm((year, month + 1, 1, 0, 0, 0)) - time.time()


def overload(script: Script) -> object:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    sse = f"event: error\ndata: {json.dumps(error)}\n\n".encode()
    return script.answer(200, [("Content-Type", "text/event-stream")], sse)


def says(status: int, message: str = "Scripted.") -> Callable[[Script], object]:
    return lambda script: script.status(status, message)


def html(status: int) -> Callable[[Script], object]:
    return lambda script: script.answer(status, [("Content-Type", "text/html")], b"<html>No</html>")


def empty(status: int) -> Callable[[Script], object]:
    return lambda script: script.raw(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)


def limit(seconds: int | None = None) -> Callable[[Script], object]:
    return lambda script: script.limit(seconds)


def cooled(
    says: Callable[[Script], object],
    scope: tuple[str, str],
    seconds: float | Callable[[], float],
    **more: bool,
) -> Row:
    lasts = seconds if callable(seconds) else lambda: seconds
    return Row(says, "AB", cools=scope, seconds=lasts, **more)


ROWS = {
    # 429
    "retry-after": cooled(limit(60), MOVED, 60),
    "retry-after, a conversation": cooled(limit(60), MOVED, 60, conversation=True),
    "retry-after of days": cooled(limit(2 * DAY), MOVED, 6 * HOUR),
    "retry-after of seconds": cooled(limit(5), MOVED, 5),
    "two windows rejected": cooled(
        rejected(("5h", "rejected", 7999), ("7d", "rejected", DAY)), MOVED, DAY, oauth=True
    ),
    "one window rejected": cooled(
        rejected(("5h", "rejected", 7999), ("7d", "allowed", DAY)), MOVED, 7999
    ),
    "a window of a month": cooled(rejected(("7d", "rejected", 30 * DAY)), MOVED, 8 * DAY),
    "spend limit": cooled(lambda s: s.spend_limit(), ALL, until_next_month),
    "429 and no more": Row(limit(), "AB"),
    "429 and no more, all of them": Row(limit(), "ABC", 429, None),
    # Accounts
    "balance": cooled(says(400, "Your credit balance is too low to access it."), ALL, HOUR),
    "disabled": cooled(says(400, "This organization has been disabled."), ALL, HOUR),
    "own limit until a date": cooled(regain, ALL, 3 * DAY),
    "402": cooled(says(402, "Payment required"), ALL, HOUR),
    "402 in HTML": cooled(html(402), ALL, HOUR),
    "any other 400": Row(says(400, "messages: at least one message is required"), "A", 400),
    # 401
    "401 of an API key": Row(says(401, "invalid x-api-key"), "AB", dead=True),
    "401 of an OAuth token": Row(says(401, "OAuth token has expired."), "AB", oauth=True),
    "401 of an OAuth token, a conversation": Row(
        says(401, "OAuth token has expired."), "AA", oauth=True, conversation=True
    ),
    "401 of a renewed OAuth token": Row(
        says(401, "Invalid bearer token"),
        "AAB",
        times=2,
        dead=True,
        oauth=True,
        conversation=True,
    ),
    "401 once": Row(says(401, CORS), "AB"),
    "401 of CORS": Row(says(401, CORS), "AB", 401, None),
    "401 not supported": Row(
        says(401, "OAuth authentication is currently not supported."), "AB", 401, None, oauth=True
    ),
    "401 where subscriptions may not": Row(
        says(401, "invalid x-api-key"), "AB", 401, None, oauth=True, path="/v1/messages/batches"
    ),
    "401 in unknown words": Row(says(401, "Something new."), "AB", 401, None),
    "401 in HTML": Row(html(401), "AB", 401, None),
    "401 without a body": Row(empty(401), "AB", 401, None),
    # 403
    "403 of the organisation": cooled(says(403, ORGANISATION), ALL, 600, oauth=True),
    "any other 403": Row(says(403, "Your account does not have access to this."), "AB"),
    "403 in HTML": Row(html(403), "AB"),
    "403 of five": Row(html(403), "ABCDE", 403, None, tokens=6),
    # Anything else
    **{
        f"{status}": Row(says(status, "As it was."), "A", status)
        for status in (404, 409, 413, 422, 500, 502, 503, 504)
    },
    "600": Row(empty(600), "A", 600),
}

#: After these the request pauses, so that they are better tried all at once.
PAUSES = {
    "529 twice": Row(says(529), "ABC", times=2),
    "529 thrice": Row(says(529), "ABC", 529, None),
    "529 twice, a conversation": Row(says(529), "AAA", times=2, conversation=True),
    "529 thrice, a conversation": Row(says(529), "AAA", 529, None, conversation=True),
    "retry-after of a second, a conversation": Row(limit(1), "AA", brief=True, conversation=True),
}

#: Only a stream can begin with an error.
OVERLOADED_STREAMS = {
    "overloaded": Row(overload, "AB"),
    "overloaded, a conversation": Row(overload, "AA", conversation=True),
}
