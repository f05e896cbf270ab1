"""`airoxy stats --report month`."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

import apsw
import pytest

from airoxy.errors import InvalidInput
from airoxy.store import groups
from airoxy.store.usage import requests
from airoxy.views import formats
from airoxy.views.report.chart import scale as scale_of
from tests.cli.terminal import Screen, Typed
from tests.conftest import Clock
from tests.store.seed import add_key, add_token, append, days_ago, row

NASTY = '<script>document.title="x"</script> & "Söhne"'
NASTY_GROUP = "=cmd|<b>"
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """An account of October, and of November so far."""
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("alice", NASTY):
        add_key(db, name)
    add_token(db, "console")
    append(
        db,
        row(days_ago(40), cost_nanousd=7 * 10**9),
        row(days_ago(21), cost_nanousd=1_500_000_000),
        row(days_ago(2), api_key_id=2, model="=cmd()", cost_nanousd=10**9),
        row(days_ago(2), api_key_id=2, status_code=529, cost_nanousd=1),
        row(cost_nanousd=250_000_000),
    )
    return Typed(Path(db.filename), clock)


REPORT = ("stats", "--report", "month")


def test_the_text_has_keys_models_days_and_a_total(typed: Typed) -> None:
    lines = [" ".join(line.split()) for line in typed(*REPORT).splitlines()]
    assert lines[0] == "Usage and estimated cost in November 2026, as of 2026-11-22 12:00 UTC"
    assert lines[2:9] == [
        "KEY, MODEL REQUESTS FAILED IN OUT WRITE READ COST OCTOBER",
        "alice 2 0 20 40 140 100 $1.75 $7.00",
        "claude-opus-5-5 2 0 20 40 140 100 $1.75 $7.00",
        f"{NASTY} 2 1 20 40 140 100 $1.00 $0",
        "=cmd() * 1 0 10 20 70 50 $1.00 $0",
        "claude-opus-5-5 1 1 10 20 70 50 <$.0001 $0",
        "total 4 1 40 80 280 200 $2.75 $7.00",
    ]
    assert any(line.startswith("2026-11-02 0 0") for line in lines)
    assert "its cost is a guess" in lines[-1]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_text_fits_the_terminal(db: apsw.Connection, typed: Typed, width: int) -> None:
    key = add_key(db, "日本" * 16)
    append(db, row(api_key_id=key, model="claude-" + "x" * 60, cost_nanousd=10**13))
    screen = Screen(terminal=True)
    lines = typed(*REPORT, screen=screen, COLUMNS=str(width), NO_COLOR="1").splitlines()
    assert max(map(formats.columns, lines[2:12])) <= width
    assert ("WRITE" in lines[2]) is (width == 200)
    assert lines[2].split()[-2:] == ["COST", "OCTOBER"]
    assert any("$10,000.00" in line for line in lines)


def test_another_month_can_be_asked_for(typed: Typed) -> None:
    assert "$7.00" in typed(*REPORT, "--month", "2026-10")
    assert typed(*REPORT, "--month", "2026-09").endswith("\n\nNo requests.\n")
    assert typed.json("stats", "--month", "2026-10")["requests"] == 1
    assert typed.json("stats", "--month")["requests"] == 4
    assert typed(*REPORT, "--month") == typed(*REPORT)


def test_csv_has_exact_dollars_and_no_formulas(typed: Typed) -> None:
    rows = list(csv.DictReader(io.StringIO(typed(*REPORT, "--format", "csv"))))
    assert [(r["api_key_name"], r["model"], r["cost_usd"]) for r in rows] == [
        ("alice", "claude-opus-5-5", "1.750000000"),
        (NASTY, "'=cmd()", "1.000000000"),
        (NASTY, "claude-opus-5-5", "0.000000001"),
    ]
    assert {r["month"] for r in rows} == {"2026-11"}
    assert sum(int(r["requests"]) for r in rows) == 4
    assert [r["cost_month_before_usd"] for r in rows] == ["7.000000000", *["0.000000000"] * 2]


def test_what_was_used_in_groups_is_told_by_group(db: apsw.Connection, typed: Typed) -> None:
    group_id = groups.add_group(db, NASTY_GROUP, 0)
    append(db, row(group_id=group_id, cost_nanousd=3 * 10**9))
    lines = [" ".join(line.split()) for line in typed(*REPORT).splitlines()]
    assert lines[2].startswith("GROUP, KEY, MODEL REQUESTS")
    assert lines[3] == f"{NASTY_GROUP} 1 0 10 20 70 50 $3.00 $0"
    assert lines[6].startswith("no group 4 1")
    rows = list(csv.DictReader(io.StringIO(typed(*REPORT, "--format", "csv"))))
    assert {r["group_name"] for r in rows} == {f"'{NASTY_GROUP}", ""}
    assert sum(int(r["requests"]) for r in rows) == 5
    page = typed(*REPORT, "--format", "html")
    assert Page(page).open == []
    assert "=cmd|&lt;b&gt;" in page
    assert "<b>" not in page


def test_json_is_the_whole_report(typed: Typed) -> None:
    told = typed.json(*REPORT)
    assert (told["month"], told["complete"]) == ("2026-11", False)
    more = {"cache_saved_nanousd", "cost_month_before_nanousd"}
    totals = {name: amount for name, amount in told["totals"].items() if name not in more}
    assert totals == typed.json("stats", "--month")
    saved = typed.json("stats", "--month", "--cache")["cache_saved_nanousd"]
    assert told["totals"]["cache_saved_nanousd"] == saved
    assert told["totals"]["cost_month_before_nanousd"] == 7 * 10**9
    assert [key["api_key_name"] for key in told["keys"]] == ["alice", NASTY]
    assert [model["priced"] for model in told["models"]] == [True, False]
    assert len(told["days"]) == 22


@pytest.mark.parametrize(
    "words",
    [
        (*REPORT, "--by", "day"),
        (*REPORT, "--today"),
        (*REPORT, "--key", "1"),
        (*REPORT, "--format", "csv", "--json"),
        ("stats", "--format", "csv"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(typed: Typed, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        typed(*words)


def test_no_such_month_is_wrong_usage(typed: Typed) -> None:
    with pytest.raises(SystemExit):
        typed("stats", "--month", "11/2026")


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "style", "onload", "onclick"}
        if tag not in ("meta", "line", "html", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "html":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(typed: Typed) -> None:
    text = typed(*REPORT, "--format", "html")
    page = Page(text)
    assert page.open == []
    assert page.tags.count("rect") == 3
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", text)
    assert "&lt;script&gt;" in text
    assert "$2.75" in text
    assert "&lt;$0.01" in text


def test_an_empty_month_is_a_page_too(typed: Typed) -> None:
    page = Page(typed(*REPORT, "--format", "html", "--month", "2026-09"))
    assert page.tags.count("rect") == 0


def test_where_nothing_cost_anything_bars_are_requests(db: apsw.Connection, clock: Clock) -> None:
    append(db, requests.without_counts(row()))
    text = Typed(Path(db.filename), clock)(*REPORT, "--format", "html")
    assert "Requests by day" in text
    assert ">1</text>" in text


@pytest.mark.parametrize(
    ("most", "scale"),
    [(0, (1, 1)), (1, (1, 1)), (5, (1, 5)), (6, (2, 6)), (11, (5, 15)), (26, (10, 30))]
    + [(117 * 10**9, (50 * 10**9, 150 * 10**9)), (10**9 + 1, (500_000_000, 1_500_000_000))],
)
def test_the_lines_of_the_chart_are_round(most: int, scale: tuple[int, int]) -> None:
    assert scale_of(most) == scale


# In a real browser


def shot(page: Path, picture: Path, *options: str) -> list[tuple[int, int, int]]:
    """The pixels that Chromium shows, row by row."""
    home = picture.with_suffix(".home")
    command = [
        CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--window-size=1000,700", f"--user-data-dir={home}", *options,
        f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    environ = os.environ | {"HOME": str(picture.parent)}
    subprocess.run(command, check=True, capture_output=True, timeout=100, env=environ)
    return pixels(picture.read_bytes())


def pixels(png: bytes) -> list[tuple[int, int, int]]:
    """Of a PNG of eight bits without a palette, as Chromium writes them."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    depth = {2: 3, 6: 4}[png[25]]
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, line, size = zlib.decompress(data), bytearray(width * depth), width * depth
    found = []
    for y in range(height):
        kind, now = raw[y * (size + 1)], bytearray(raw[y * (size + 1) + 1 : (y + 1) * (size + 1)])
        for x in range(size):
            left = now[x - depth] if x >= depth else 0
            up, corner = line[x], line[x - depth] if x >= depth else 0
            guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
            now[x] = (now[x] + guess) & 255
        line = now
        found += [(now[x], now[x + 1], now[x + 2]) for x in range(0, size, depth)]
    return found


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_it_light_and_dark(typed: Typed, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(typed(*REPORT, "--format", "html"))
    light = shot(page, tmp_path / "light.png")
    dark = shot(page, tmp_path / "dark.png", "--blink-settings=preferredColorScheme=0")
    assert light[0] == (255, 255, 255)
    assert dark[0] == (0x16, 0x18, 0x1B)
    # The bars: the dearest is as tall as the chart, which ends at 240 of 960.
    assert light.count((0x2F, 0x6F, 0xB5)) > 1000
    assert dark.count((0x6E, 0xA8, 0xE6)) > 1000


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_phone_shows_all_of_a_lines_width(
    db: apsw.Connection, typed: Typed, tmp_path: Path
) -> None:
    """The page, in a frame as wide as a phone: how much of it, and of its tables, is outside."""
    group_id = groups.add_group(db, "research", 0)
    append(db, row(group_id=group_id, cost_nanousd=1234 * 10**9, model="claude-opus-5-5-20261101"))
    page, frame = tmp_path / "report.html", tmp_path / "frame.html"
    page.write_text(typed(*REPORT, "--format", "html"))
    frame.write_text(
        f"""<iframe src="{page.name}" width="390" height="800"></iframe><script>
        onload = () => {{
          const inner = document.querySelector("iframe").contentDocument;
          const wide = [...inner.querySelectorAll("html, .wide")];
          document.title = wide.map(each => each.scrollWidth - each.clientWidth).join(" ");
        }}</script>"""
    )
    command = [
        CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu",
        "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'home'}",
        "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    environ = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(command, check=True, capture_output=True, timeout=100, env=environ)
    assert b"<title>0 0 0</title>" in done.stdout


def test_estimates_and_what_is_not_counted_are_remarked(db: apsw.Connection, typed: Typed) -> None:
    append(db, row(is_estimate=True), row(uncounted=True), row(uncounted=True))
    for form in ("text", "html"):
        said = typed("stats", "--report", "month", "--format", form)
        assert "1 request ended before the counts came; the output is estimated." in said
        assert "2 requests cost money that cannot be counted here." in said
    totals = typed.json("stats", "--report", "month")["totals"]
    assert (totals["estimated"], totals["uncounted"]) == (1, 2)
