"""`make screenshots`: the console's pictures in the documentation, of a database filled for it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.console.browser import headless, log_in
from tests.console.running import Console, beside
from tests.console.seed import fill
from tests.fake_anthropic import FakeAnthropic
from tests.program import ROOT, Airoxy, ended

PICTURES = ROOT / "docs" / "pictures"
#: Name of the picture, the page, and the picture's height.
SHOWN = (
    ("console-overview", "/", 1075),
    ("console-keys", "/keys", 668),
    ("console-key", "/keys/1", 880),
)
WIDTH = 1280


def main() -> None:
    with tempfile.TemporaryDirectory() as path, FakeAnthropic() as upstream:
        airoxy = Airoxy(Path(path) / "airoxy", upstream.url)
        with airoxy.opened() as db:
            fill(db, time.time(), key_count=24, token_count=6, rows=6000, days=60)
        console = beside(airoxy, Path(path) / "console")
        with ended([airoxy]), contextlib.closing(console.start()):
            airoxy.start()
            driver = headless(Path(path) / "profile")
            try:
                _take(driver, console)
            finally:
                driver.quit()


def _take(driver: Any, console: Console) -> None:
    log_in(driver, console, "maria")
    for name, page, height in SHOWN:
        driver.set_window_size(WIDTH, height)
        driver.get(console.origin + page)
        time.sleep(3)  # until the live numbers are there, where there are any
        driver.save_screenshot(str(PICTURES / f"{name}.png"))


if __name__ == "__main__":
    main()
