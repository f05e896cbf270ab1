"""The overview of `airoxy top` as lines of text that fit a terminal, each with a style."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TextIO

from airoxy.cli.system.health import HealthAnswer
from airoxy.core.billing.usage import PROMPT
from airoxy.views.formats import bar, cut, dollars, padded, short, short_model
from airoxy.views.times import local_time, span, time_of_day
from airoxy.views.tokens import quota

#: How a line looks: "" is plain.
HEAD, GOOD, WARN, BAD, SOFT = "head", "good", "warn", "bad", "soft"
#: The headings of the tables, and a line before each.
_FIXED = 6
#: The used share at which a limit is coloured as near.
_NEAR = 0.8

Row = Mapping[str, Any]


class Line(NamedTuple):
    text: str
    style: str = ""


@dataclass(frozen=True)
class Picture:
    """Everything that the screen shows at one moment; times are in `zone`, `rate` is in requests
    per second. Tokens have their `state` in words. Sums are today's, and so is a key's `limit`
    (None: none). `health` is None until the server was asked."""

    now: float
    health: HealthAnswer | None
    rate: float | None
    totals: Row
    tokens: Sequence[Row]
    keys: Sequence[Row]
    errors: Sequence[Row]
    #: The newest, for a view of their own.
    requests: Sequence[Row] = ()
    zone: datetime.tzinfo = datetime.UTC
    #: Everything but `health` is of all hosts of the fleet, unless they cannot be asked.
    is_fleet: bool = False
    fleet_trouble: str = ""


def lines(picture: Picture, width: int, height: int, out: TextIO) -> list[Line]:
    """At most `height` lines of at most `width` columns, the important ones first."""
    top = header(picture, width)
    room = max(3, height - len(top) - _FIXED)
    errors = min(len(picture.errors) or 1, max(1, room // 3))
    tokens = min(len(picture.tokens) or 1, max(1, (room - errors) // 2))
    keys = min(len(picture.keys) or 1, max(1, room - errors - tokens))
    errors = max(errors, room - tokens - keys)
    drawn = [
        *top,
        Line(""),
        *_tokens(picture, width, tokens, out),
        Line(""),
        *_keys(picture, width, keys, out),
        Line(""),
        *_errors(picture, width, errors),
    ]
    return [Line(line.text[:width].rstrip(), line.style) for line in drawn[:height]]


def header(picture: Picture, width: int) -> list[Line]:
    """The server, and all of today."""
    health, totals = picture.health, picture.totals
    known = health.body if health and health.status else {}
    right = f"{time_of_day(picture.now, picture.zone)}   q quits"
    version = f"airoxy {known['version']}, up {span(known['uptime'])}" if known else "airoxy"
    rate = "-" if picture.rate is None else f"{picture.rate:.1f}"
    everybody = " on all hosts" if picture.is_fleet and not picture.fleet_trouble else ""
    now = f"{rate} requests/s{everybody}   {_many(known.get('streams_open'), 'open stream')}"
    now += f"   {_many(known.get('tokens_ready'), 'token')} ready"
    if known.get("log_rows_waiting"):
        now += f"   {_many(known['log_rows_waiting'], 'log row')} waiting"
    today = f"today: {totals['requests']:,} requests, {totals['failed']:,} failed, "
    today += dollars(totals["cost_nanousd"])
    return [
        Line(f"{version:<{max(0, width - len(right) - 1)}} {right}", HEAD),
        Line(now),
        Line(today),
        *_words_of(health),
        *_words_of_fleet(picture),
    ]


def _words_of_fleet(picture: Picture) -> list[Line]:
    if not picture.fleet_trouble:
        return []
    return [Line(f"Other hosts are not up to date: {picture.fleet_trouble}", WARN)]


def _many(count: int | None, what: str) -> str:
    return f"{'-' if count is None else count} {what}{'' if count == 1 else 's'}"


def _words_of(health: HealthAnswer | None) -> list[Line]:
    """What the server says where not all is well."""
    if health is None:
        return []
    if health.status is None:
        return [Line(f"The server does not answer: {health.body['reason']}", BAD)]
    told = [str(health.body[name]) for name in ("reason", "warning") if name in health.body]
    return [Line("; ".join(told), BAD if health.status >= 500 else WARN)] if told else []


def _tokens(picture: Picture, width: int, room: int, out: TextIO) -> list[Line]:
    total = sum(token["requests"] for token in picture.tokens)
    bars = max(0, min(20, width - 68))
    states = max(10, width - 38 - bars)

    def line(token: Row) -> Line:
        share = token["requests"] / total if total else 0
        told = ", ".join(filter(None, (token["state"], quota(token))))
        text = f"{_cell(token['name'], 16)}  {_cell(told, states)}"
        text += f"  {token['requests']:>8,}  {share:>5.0%}  {bar(share, bars, out) if bars else ''}"
        return Line(text, style_of(token["state"]))

    head = f"{'TOKEN':<16}  {'STATE':<{states}}  {'REQUESTS':>8}  SHARE"
    return _table(head, picture.tokens, room, line, "No tokens: airoxy token add")


def style_of(state: str) -> str:
    """That of a token's state."""
    if state == "ready":
        return GOOD
    return WARN if state.startswith("cooling") else SOFT if state == "disabled" else BAD


def _keys(picture: Picture, width: int, room: int, out: TextIO) -> list[Line]:
    """With the limits of a day, where a key has one: then each bar is of its key's own."""
    limited = any(key.get("limit") for key in picture.keys)
    most = max((key["cost_nanousd"] for key in picture.keys), default=0)
    names = 14 if limited else 20
    bars = max(0, min(30, width - 47 - names - (11 if limited else 0)))

    def line(key: Row) -> Line:
        of = key.get("limit") if limited else most
        share = min(1, key["cost_nanousd"] / of) if of else 0
        text = f"{_cell(key['api_key_name'] or str(key['api_key_id'] or '-'), names)}"
        text += f"  {key['requests']:>8,}  {key['failed']:>6,}"
        text += f"  {short(sum(key[name] for name in PROMPT)):>5}"
        text += f"  {short(key['output_tokens']):>5}  {dollars(key['cost_nanousd']):>9}  "
        if limited:
            text += f"{dollars(of) if of else '-':>9}  "
        style = "" if not limited or share < _NEAR else WARN if share < 1 else BAD
        return Line(text + (bar(share, bars, out) if bars and of else ""), style)

    head = f"{'KEY':<{names}}  {'REQUESTS':>8}  {'FAILED':>6}  {'IN':>5}  {'OUT':>5}  {'TODAY':>9}"
    head += f"  {'LIMIT':>9}" if limited else ""
    return _table(head, picture.keys, room, line, "No requests today.")


def _errors(picture: Picture, width: int, room: int) -> list[Line]:
    taken = 53 + 10 * picture.is_fleet

    def line(row: Row) -> Line:
        text = f"{local_time(row['requested_at'], picture.zone):%H:%M:%S}"
        text += f"  {_cell(row['host'], 8)}" if picture.is_fleet else ""
        text += f"  {_cell(row['api_key_name'] or '-', 10)}"
        text += f"  {_cell(row['token_name'] or '-', 10)}  {_cell(short_model(row['model']), 12)}"
        said = row["error_message"] or row["ending"].replace("_", " ")
        return Line(f"{text}  {row['status_code']}  {cut(said, max(1, width - taken))}")

    return _table("LAST ERRORS", picture.errors[:room], room, line, "None.")


def _table(
    head: str, rows: Sequence[Row], room: int, line: Callable[[Row], Line], nothing: str
) -> list[Line]:
    if not rows:
        return [Line(head, HEAD), Line(nothing, SOFT)]
    if len(rows) <= room:
        return [Line(head, HEAD), *map(line, rows)]
    shown = rows[: room - 1]
    more = Line(f"… and {len(rows) - len(shown)} more", SOFT)
    return [Line(head, HEAD), *map(line, shown), more]


def _cell(text: str, width: int) -> str:
    return padded(cut(text, width), width)
