"""The distribution's Chromium without a screen, driven by selenium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.console.running import Console
from tests.ports import free_port
from tests.program import need

#: How long a browser may take for anything on a busy machine (seconds).
PATIENCE = 60


def headless(profile: Path, *, scripts: bool = True) -> Any:
    """A driver, with `profile` as its user's directory; `quit` ends it. Pages may run `scripts`."""
    pytest.importorskip("selenium", reason="python3-selenium is not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = need("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", f"--user-data-dir={profile}"):  # fmt: skip
        options.add_argument(argument)
    if not scripts:
        blocked = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", blocked)
    # Selenium would choose a port that nobody has, and leave it to others until the driver starts.
    service = Service(need("chromedriver"), port=free_port())
    driver = webdriver.Chrome(service=service, options=options)
    driver.set_script_timeout(PATIENCE)
    return driver


def turn(driver: Any, act: Callable[[], None]) -> None:
    """Do what loads another page, and wait until it is there whole."""
    from selenium.webdriver.support.expected_conditions import staleness_of

    page = driver.find_element("css selector", "html")
    act()
    until(driver, lambda: staleness_of(page)(driver))
    until(driver, lambda: driver.execute_script("return document.readyState") == "complete")


def until(driver: Any, condition: Callable[[], Any]) -> None:
    """Wait for it. Between two pages, and while a script exchanges a part of one, the driver can
    find nothing out: it is asked again."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(driver, PATIENCE, 0.05, ignored_exceptions=[WebDriverException])
    wait.until(lambda _: condition())


def log_in(driver: Any, console: Console, name: str) -> None:
    """As a new user of this name, by a link."""
    driver.get(console.origin + console.user(name))
    turn(driver, driver.find_element("css selector", "button.main").click)
