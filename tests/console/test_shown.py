"""The pages in a real browser, with hostile names in them: nothing runs, all is legible."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from airoxy.store import groups, keys, tokens
from airoxy.store.schema import transaction
from airoxy.store.usage.requests import append
from tests.axe import violations
from tests.console.running import Console
from tests.console.test_pages import request as log_row

HOSTILE = "<img src=x onerror=alert(1)>"
PAGES = ("/", "/keys", "/keys/1", "/groups", "/groups/2", "/tokens", "/tokens/1", "/log",
         "/log?status=failed&follow=1", "/log/1", "/reports", "/prices", "/audit", "/health",
         "/account", "/nothing")  # fmt: skip


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
    return console


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_accessible_and_runs_nothing_of_what_it_shows(
    hostile: Console, chromium: Any, theme: str, width: int
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    screen = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    chromium.get(hostile.origin + hostile.user(f"maria-{theme}"))
    assert violations(chromium) == []
    chromium.find_element("css selector", "button.main").click()
    for path in PAGES:
        # An alert that is open would make the next command fail.
        chromium.get(hostile.origin + path)
        assert (path, violations(chromium)) == (path, [])
        assert chromium.execute_script("return document.querySelector('img, [onerror]')") is None
        shown = chromium.execute_script("return document.documentElement.scrollWidth")
        assert shown <= width, path
    said = [each["message"] for each in chromium.get_log("browser")]
    assert [each for each in said if "/nothing" not in each] == []
