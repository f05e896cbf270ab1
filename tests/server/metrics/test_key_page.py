"""The page that a browser gets at `/`: whole, closed to everything else, and drawn from the key."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from airoxy.views import formats
from tests.axe import violations
from tests.console.browser import headless, until
from tests.program import Airoxy, need
from tests.server.limits.asking import COST, ask, dollars, limited

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def site(install) -> Airoxy:
    airoxy = install()
    airoxy.token("sk-ant-api-test-one")
    return airoxy.start()


def test_only_a_browser_gets_the_page(site: Airoxy) -> None:
    assert site.request("GET", "/").json()["name"] == "airoxy"
    assert site.request("GET", "/", headers={"accept": "*/*"}).json()["name"] == "airoxy"
    answer = site.request("GET", "/", headers=HTML)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert site.request("HEAD", "/", headers=HTML).body == b""


def test_nothing_but_its_own_script_and_style_can_run(site: Airoxy) -> None:
    answer = site.request("GET", "/", headers=HTML)
    page, policy = answer.body.decode(), answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    for tag in ("script", "style"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"""\b(?:src|href|style|on[a-z]+)=["']""", page)
    assert "innerHTML" not in page


def test_its_money_looks_like_that_of_the_command_line(tmp_path: Path) -> None:
    page = resources.files("airoxy.server.metrics").joinpath("key_page.html").read_text("utf-8")
    (function,) = re.findall(r"^const dollars = .*?^};$", page, re.DOTALL | re.MULTILINE)
    amounts = [0, 1, 49_999, 50_000, 50_500_000, 999_949_999, 10**9, 1_108_941_904,
               2_499_999_999, 1_234_567_890_000_000, -3_000_000_000]  # fmt: skip
    script = tmp_path / "money.js"
    script.write_text(f"{function}\nconsole.log({amounts}.map(dollars).join(' '))")
    told = subprocess.run([need("node"), script], check=True, capture_output=True, text=True)
    assert told.stdout.split() == list(map(formats.dollars, amounts))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    driver = headless(tmp_path / "profile")
    phone = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    yield driver
    driver.quit()


def test_a_browser_draws_what_the_key_has_used(site: Airoxy, browser: Any) -> None:
    key = limited(site, "--spend-per-day", dollars(COST), "--requests-per-minute", "9")
    assert [ask(site, key).status for _ in range(2)] == [200, 429]
    site.wait_logs(2)
    browser.get(site.url)
    field, said, told = (
        browser.find_element("css selector", each) for each in ("#key", "#said", "#told")
    )
    field.send_keys("ak-wrong\n")
    until(browser, lambda: "Invalid API key" in said.text)
    assert not told.is_displayed()
    field.clear()
    field.send_keys(key + "\n")
    until(browser, told.is_displayed)
    assert "100 % used; begins anew" in told.text
    assert "claude-opus-5-5" in told.text
    assert "has spent its limit" in told.text
    assert len(browser.find_elements("css selector", "#chart g")) == 30
    assert len(browser.find_elements("css selector", "#chart rect.m0")) == 1
    assert "most in a day $" in told.text
    assert f"ANTHROPIC_BASE_URL={site.url}" in browser.find_element("css selector", "#claude").text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert [each for each in browser.get_log("browser") if "favicon" not in each["message"]
            and "401" not in each["message"]] == []  # fmt: skip
    assert not browser.execute_script("return Object.keys(localStorage).length")
    for theme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        assert violations(browser) == []
