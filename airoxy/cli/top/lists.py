"""The lists of `airoxy top`: requests, client keys and upstream tokens, by the line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from airoxy.cli.top.controls import HELP, KEYS, OVERVIEW, REQUESTS, TOKENS, Controls
from airoxy.cli.top.view import BAD, GOOD, HEAD, SOFT, WARN, Line, Picture, header, lines, style_of
from airoxy.core.billing.usage import PROMPT
from airoxy.views.formats import cut, dollars, duration, padded, short, short_model
from airoxy.views.times import local_time, span

Row = Mapping[str, Any]
_GAP = 2
#: The used share at which a limit is coloured as near.
_NEAR = 0.8
#: Below this height the line of help is left out.
_LEAST_HEIGHT = 8


class ListColumn(NamedTuple):
    """`width` is negative for numbers, which are sorted downwards; if there is room, it grows up to
    `most`. Columns with the highest `rank` are left out first."""

    head: str
    width: int
    cell: Callable[[Row, Picture], str]
    key: Callable[[Row], Any]
    most: int = 0
    rank: int = 0


def _text(name: str) -> Callable[[Row, Picture], str]:
    return lambda row, _: str(row[name] or "-")


def _sorted_by(name: str) -> Callable[[Row], Any]:
    """Texts whatever their case; None is the least."""

    def key(row: Row) -> Any:
        value = row[name]
        return value.casefold() if isinstance(value, str) else -1 if value is None else value

    return key


def _names(head: str, name: str, width: int = 10, rank: int = 0) -> ListColumn:
    by = _sorted_by(name)
    return ListColumn(head, width, _text(name), lambda row: by({name: row[name] or ""}), 32, rank)


def _count(head: str, names: Sequence[str], rank: int = 0) -> ListColumn:
    def total(row: Row) -> int:
        return sum(row[name] for name in names)

    return ListColumn(head, -5, lambda row, _: short(total(row)), total, 0, rank)


def _number(head: str, name: str, rank: int = 0) -> ListColumn:
    return ListColumn(head, -8, lambda row, _: f"{row[name]:,}", _sorted_by(name), 0, rank)


def _time(row: Row, picture: Picture) -> str:
    return f"{local_time(row['requested_at'], picture.zone):%H:%M:%S}"


def _took(name: str) -> Callable[[Row, Picture], str]:
    return lambda row, _: "-" if row[name] is None else duration(row[name])


def _cost(row: Row, _: Picture) -> str:
    return "?" if row["uncounted"] else "~" * row["is_estimate"] + dollars(row["cost_nanousd"])


def _trouble(row: Row) -> str:
    ending = "" if row["ending"] == "complete" else row["ending"].replace("_", " ")
    return row["error_message"] or ending


def _share(row: Row) -> float:
    return row["cost_nanousd"] / row["limit"] if row.get("limit") else -1


def _limit(row: Row, _: Picture) -> str:
    return dollars(row["limit"]) if row.get("limit") else "-"


def _window(name: str, field: str) -> Callable[[Row], float]:
    def value(row: Row) -> float:
        found = next((each for each in row["quota"] if each["window"] == name), None)
        return -1.0 if found is None else float(found[field])

    return value


def _windows(name: str, rank: int) -> tuple[ListColumn, ListColumn]:
    """How much of a quota window is used, and in how long it begins anew."""
    used, resets = _window(name, "used"), _window(name, "resets_at")

    def share(row: Row, _: Picture) -> str:
        return "-" if used(row) < 0 else f"{used(row):.0%}"

    def left(row: Row, picture: Picture) -> str:
        return span(resets(row) - picture.now) if resets(row) > picture.now else "-"

    head = name.upper()
    return ListColumn(head, -4, share, used), ListColumn("RESETS", -7, left, resets, rank=rank)


def _others(row: Row, _: Picture) -> str:
    rest = (each for each in row["quota"] if each["window"] not in ("5h", "7d"))
    return ", ".join(f"{each['window']} {each['used']:.0%}" for each in rest) or "-"


#: Of a fleet only.
_HOST = "HOST"
_COLUMNS: dict[str, tuple[ListColumn, ...]] = {
    REQUESTS: (
        ListColumn("TIME", -8, _time, _sorted_by("requested_at")),
        _names(_HOST, "host", 8, rank=6),
        _names("KEY", "api_key_name", rank=2),
        _names("TOKEN", "token_name", rank=5),
        ListColumn("MODEL", 12, lambda r, _: short_model(r["model"]), _sorted_by("model"), 28),
        _count("IN", PROMPT, 8),
        _count("OUT", ("output_tokens",), 7),
        ListColumn("COST", -7, _cost, _sorted_by("cost_nanousd"), 0, 3),
        ListColumn("STATUS", -6, _text("status_code"), _sorted_by("status_code")),
        ListColumn("FIRST", -5, _took("ttfb_ms"), _sorted_by("ttfb_ms"), 0, 4),
        ListColumn("TOOK", -5, _took("duration_ms"), _sorted_by("duration_ms"), 0, 1),
        ListColumn("TROUBLE", 12, lambda r, _: _trouble(r) or "-", _trouble, 60, 9),
        ListColumn("REQUEST ID", 28, _text("request_id"), _sorted_by("request_id"), 0, 10),
    ),
    KEYS: (
        ListColumn(
            "TODAY", -9, lambda r, _: dollars(r["cost_nanousd"]), _sorted_by("cost_nanousd")
        ),
        _names("KEY", "api_key_name", 14),
        _number("REQUESTS", "requests"),
        _number("FAILED", "failed", 1),
        _count("IN", PROMPT, 3),
        _count("OUT", ("output_tokens",), 4),
        ListColumn("LIMIT", -9, _limit, lambda r: r.get("limit") or -1, 0, 2),
        ListColumn("USED", -5, lambda r, _: "-" if _share(r) < 0 else f"{_share(r):.0%}", _share),
    ),
    TOKENS: (
        _names("TOKEN", "name", 14),
        ListColumn("STATE", 21, _text("state"), _sorted_by("state"), 60),
        _number("REQUESTS", "requests", 2),
        *_windows("5h", 3),
        *_windows("7d", 4),
        ListColumn("OTHER WINDOWS", 14, _others, lambda r: len(r["quota"]), 40, 5),
    ),
}
_NOTHING = {
    REQUESTS: "No requests in the usage log yet.",
    KEYS: "No requests today.",
    TOKENS: "No tokens: airoxy token add",
}


def frame(picture: Picture, controls: Controls, width: int, height: int, out: TextIO) -> list[Line]:
    """The whole screen: at most `height` lines of at most `width` columns."""
    if height < _LEAST_HEIGHT and controls.view == OVERVIEW and not controls.is_helping:
        return lines(picture, width, height, out)
    if controls.is_helping:
        drawn = [Line("Keys of airoxy top", HEAD), Line("")]
        drawn += [Line(f"{padded(keys, 9)}  {text}") for keys, text in HELP]
    elif controls.view == OVERVIEW:
        drawn = lines(picture, width, height - 1, out)
    else:
        drawn = [*header(picture, width), Line("")][: max(0, height - 4)]
        drawn += _list(picture, controls, width, height - 1 - len(drawn), out)
    drawn = drawn[: max(0, height - 1)]
    drawn += [Line("")] * (height - 1 - len(drawn))
    drawn.append(Line(_foot(controls), SOFT if not controls.is_typing else ""))
    return [Line(cut(line.text, width) if line.text else "", line.style) for line in drawn][:height]


def _foot(controls: Controls) -> str:
    if controls.is_typing:
        return f"/{controls.word}_   Enter keeps it, Esc takes it away"
    words = ["1 overview 2 requests 3 keys 4 tokens"]
    if controls.view != OVERVIEW:
        words.append("s sort  r turn  / filter")
    words.append("? help  q quit")
    found = "  ".join(words)
    found = f"PAUSED   {found}" if controls.is_paused else found
    return f"{found}   filter: {controls.word}" if controls.word else found


def _list(picture: Picture, controls: Controls, width: int, height: int, out: TextIO) -> list[Line]:
    view = controls.view
    columns = _fitted(_columns(picture, view), width)
    rows = _chosen(picture, controls)
    by = _column(picture, controls)
    mark = _mark(by.width < 0, view in controls.turned, out)
    # By the cell: two columns are called RESETS.
    heads = [each.head + mark * (each.cell is by.cell) for each in columns]
    head = Line(_line(columns, heads), HEAD)
    if not rows:
        nothing = f"Nothing has {controls.word!r} in it." if controls.word else _NOTHING[view]
        return [head, Line(nothing, SOFT)]
    room = max(1, height - 2)
    first = controls.drawn(len(rows), room)
    shown = rows[first : first + room]
    drawn = [
        Line(_line(columns, [column.cell(row, picture) for column in columns]), _style(view, row))
        for row in shown
    ]
    drawn += [Line("")] * (room - len(shown))
    order = f"sorted by {by.head.lower()}"
    position = f"{first + 1}-{first + len(shown)} of {len(rows)}, {order}"
    return [head, *drawn, Line(position, SOFT)]


def _columns(picture: Picture, view: str) -> list[ListColumn]:
    return [each for each in _COLUMNS[view] if picture.is_fleet or each.head != _HOST]


def _column(picture: Picture, controls: Controls) -> ListColumn:
    columns = _columns(picture, controls.view)
    return columns[controls.sort[controls.view] % len(columns)]


def _chosen(picture: Picture, controls: Controls) -> list[Row]:
    """Those that the filter lets through, in their order."""
    columns = _columns(picture, controls.view)
    found: Sequence[Row] = {
        REQUESTS: picture.requests, KEYS: picture.keys, TOKENS: picture.tokens
    }[controls.view]  # fmt: skip
    if word := controls.word.casefold():
        found = [
            row for row in found
            if any(word in column.cell(row, picture).casefold() for column in columns)
        ]  # fmt: skip
    by = _column(picture, controls)
    downwards = (by.width < 0) is not (controls.view in controls.turned)
    return sorted(found, key=by.key, reverse=downwards)


def _mark(is_number: bool, is_turned: bool, out: TextIO) -> str:
    marks = "↑↓" if "utf" in (out.encoding or "").lower() else "^v"
    return marks[is_number is not is_turned]


def _fitted(columns: Sequence[ListColumn], width: int) -> list[ListColumn]:
    """Those that fit, the names widened by what is left."""
    shown = list(columns)
    while len(shown) > 1 and _taken(shown) > width:
        shown.remove(max(shown, key=lambda each: each.rank))
    left = width - _taken(shown)
    while left > 0 and (
        growing := [n for n, each in enumerate(shown) if 0 < each.width < each.most]
    ):
        for n in growing[:left]:
            shown[n] = shown[n]._replace(width=shown[n].width + 1)
        left -= len(growing)
    return shown


def _taken(columns: Sequence[ListColumn]) -> int:
    # A column more than the head, for the mark of the one that is sorted by.
    return sum(_width(each) + _GAP for each in columns) - _GAP


def _width(column: ListColumn) -> int:
    return max(abs(column.width), len(column.head) + 1)


def _line(columns: Sequence[ListColumn], cells: Sequence[str]) -> str:
    return (" " * _GAP).join(
        padded(cut(cell, _width(column)), _width(column), right=column.width < 0)
        for cell, column in zip(cells, columns, strict=True)
    )


def _style(view: str, row: Row) -> str:
    if view == REQUESTS:
        bad = row["status_code"] >= 500 or row["ending"] in ("upstream_failed", "worker_killed")
        warn = row["status_code"] >= 400 or row["ending"] != "complete"
        return BAD if bad else WARN if warn else ""
    if view == KEYS:
        return BAD if _share(row) >= 1 else WARN if _share(row) >= _NEAR else ""
    style = style_of(row["state"])
    return "" if style == GOOD else style
