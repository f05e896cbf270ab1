"""The pages in a real browser, with hostile names in them: nothing runs, all is legible."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from airoxy.store import groups, keys, tokens
from airoxy.store.limits import set_limits
from airoxy.store.schema import transaction
from airoxy.store.usage.requests import append
from tests.axe import violations
from tests.console.browser import log_in, until
from tests.console.running import Console
from tests.console.test_pages import request as log_row

HOSTILE = "<img src=x onerror=alert(1)>"
#: As wide as a name can be.
WIDE = "W" * 64
PAGES = ("/", "/keys", "/keys/1", "/groups", "/groups/2", "/tokens", "/tokens/1", "/log",
         "/log?status=failed&follow=1", "/log/1", "/reports", "/prices", "/audit", "/health",
         "/account", "/nothing")  # fmt: skip
#: Those of what has the widest name.
WIDE_PAGES = ("/keys/2", "/groups/3", "/tokens/2", "/log/2")
#: What goes beyond the right edge, if the page has to be moved sideways to see it.
_STICKS_OUT = """
const edge = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= edge) return [];
return [...document.querySelectorAll("main *")]
  .filter((each) => each.getBoundingClientRect().right > edge).map((each) => each.outerHTML);
"""


@pytest.fixture(scope="module")
def hostile(make_console: Callable[..., Console]) -> Console:
    console = make_console().start()
    now = time.time()
    with console.opened() as db, transaction(db):
        key_id = keys.add_key(db, HOSTILE, f"ak-{'h' * 43}", now)
        groups.add_group(db, HOSTILE, now)
        tokens.add_token(db, name=HOSTILE, type="api_key", token="sk-ant-api-test-hostile",
                         refresh_token=None, expires_at=None, now=now)  # fmt: skip
        refused = log_row(key_id, token_id=1, status_code=500, error_message=HOSTILE)
        append(db, [refused, log_row(key_id, model=HOSTILE)])
        wide = keys.add_key(db, WIDE, f"ak-{'w' * 43}", now)
        of_wide = {"spend_per_month_nanousd": 10**15, "note": WIDE, "pool": WIDE}
        set_limits(
            db, wide, of_wide | {"group_id": groups.add_group(db, WIDE, now, {"note": WIDE})}
        )
        tokens.add_token(db, name=WIDE, type="api_key", token="sk-ant-api-test-wide",
                         refresh_token=None, expires_at=None, now=now)  # fmt: skip
        append(db, [log_row(wide, token_id=2, model=WIDE.lower(), cost_nanousd=10**14)])
        for number in range(40):
            keys.add_key(db, f"laptop-{number}", f"ak-{number:043}", now)
    return console


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_accessible_and_runs_nothing_of_what_it_shows(
    hostile: Console, chromium: Any, theme: str, width: int
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    chromium.get(hostile.origin + hostile.user(f"invited-{theme}"))
    resize(chromium, width, 1000)
    assert violations(chromium) == []
    log_in(chromium, hostile, f"maria-{theme}")
    for path in PAGES:
        # An alert that is open would make the next command fail.
        chromium.get(hostile.origin + path)
        assert (path, violations(chromium)) == (path, [])
        assert chromium.execute_script("return document.querySelector('img, [onerror]')") is None
    said = [each["message"] for each in chromium.get_log("browser")]
    assert [each for each in said if "/nothing" not in each] == []


def test_no_page_has_to_be_moved_sideways(hostile: Console, chromium: Any) -> None:
    """On a screen of any width: no script asks for it, and so a page is not loaded for each."""
    log_in(chromium, hostile, "mover")
    for path in (*PAGES, *WIDE_PAGES):
        chromium.get(hostile.origin + path)
        for width in (390, 800, 1280, 1920):
            resize(chromium, width, 1000)
            assert (path, width, chromium.execute_script(_STICKS_OUT)) == (path, width, [])


def test_a_table_keeps_its_header_in_sight(hostile: Console, chromium: Any) -> None:
    log_in(chromium, hostile, "reader")
    for width in (800, 1280):
        resize(chromium, width, 600)
        chromium.get(f"{hostile.origin}/keys?sort=name")
        # What is seen where the header is: nothing else may lie above it.
        found = chromium.execute_script("""
            document.querySelector("tbody tr:nth-child(30)").scrollIntoView();
            const box = document.querySelector("thead th").getBoundingClientRect();
            return document.elementFromPoint(box.left + 5, box.top + box.height / 2)?.textContent;
        """)
        assert (width, found) == (width, "Name")


def resize(chromium: Any, width: int, height: int) -> None:
    """Make the screen as wide and high as this, and wait until the page, one of ours, is."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    wide = "return document.documentElement.clientWidth"
    until(chromium, lambda: chromium.execute_script(wide) == width)
