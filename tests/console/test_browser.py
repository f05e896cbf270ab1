"""The whole way in a real browser: log in, add a token, make a key, use it, and see it."""

from __future__ import annotations

import time

import pytest

from tests.console.browser import PATIENCE, log_in, turn, until
from tests.console.running import beside

selenium = pytest.importorskip("selenium", reason="python3-selenium is not installed")

SECRET = "sk-ant-api03-" + "not-a-token-" * 4


def test_an_operator_does_the_whole_way(tmp_path, install, upstream, chromium):
    from selenium.webdriver.common.by import By

    def find(selector: str):
        return chromium.find_element(By.CSS_SELECTOR, selector)

    airoxy = install().start()
    console = beside(airoxy, tmp_path / "console")
    console.start()
    try:
        log_in(chromium, console, "maria")
        assert find("h1").text == "maria"
        chromium.get(f"{console.origin}/tokens")
        find("input[name=name]").send_keys("work")
        find("input[name=token]").send_keys(SECRET)
        turn(chromium, find("input[name=token]").submit)
        assert "work" in chromium.page_source
        assert SECRET not in chromium.page_source
        chromium.get(f"{console.origin}/keys")
        find("main form[method=post] input[name=name]").send_keys("laptop")
        turn(chromium, find("main form[method=post] input[name=name]").submit)
        secret = next(
            each.text for each in chromium.find_elements(By.CSS_SELECTOR, "pre")
            if each.text.startswith("ak-")
        )  # fmt: skip
        body = {"model": "claude-haiku-4-5", "max_tokens": 10,
                "messages": [{"role": "user", "content": "Hello"}]}  # fmt: skip

        def becomes(status: int, key: str) -> None:
            deadline = time.monotonic() + PATIENCE
            while airoxy.request("POST", "/v1/messages", body, key=key).status != status:
                assert time.monotonic() < deadline

        becomes(200, secret)
        airoxy.wait_logs(1)
        chromium.get(f"{console.origin}/log?follow=1")
        assert "laptop" in find("main table").text
        until(chromium, lambda: find("#state").text == "live")
        assert airoxy.request("POST", "/v1/messages", body, key=secret).status == 200
        rows = "#rows tbody tr"
        until(chromium, lambda: len(chromium.find_elements(By.CSS_SELECTOR, rows)) == 2)
        chromium.get(f"{console.origin}/")
        shown = chromium.find_elements(By.CSS_SELECTOR, "[data-number=requests_today]")
        assert airoxy.request("POST", "/v1/messages", body, key=secret).status == 200
        until(chromium, lambda: {each.text for each in shown} == {"3"})
        until(chromium, lambda: find("#state").text == "live")
        chromium.get(f"{console.origin}/health")
        until(chromium, lambda: "migrations" in find("#checkup").text)
        chromium.get(f"{console.origin}/keys/1")
        find("input[name=spend_per_day]").send_keys("0.000001")
        turn(chromium, find("input[name=spend_per_day]").submit)
        becomes(429, secret)

        def is_logged(status: str) -> bool:
            chromium.get(f"{console.origin}/keys/1")
            return status in find("main table").text

        # The log is written behind the answers.
        until(chromium, lambda: is_logged("429"))
        find("input[name=spend_per_day]").clear()
        turn(chromium, find("input[name=spend_per_day]").submit)
        becomes(200, secret)
        turn(chromium, find("select[name=overlap]").submit)
        rotated = find("#secret").text
        becomes(200, rotated)
        becomes(200, secret)
        turn(chromium, find("input[name=action][value=disable]").submit)
        becomes(401, rotated)
        chromium.get(f"{console.origin}/audit")
        told = find("main table").text
        assert "maria (console)" in told
        assert all(word in told for word in ("spend_per_day", "laptop", "disable"))
        assert not [line for line in chromium.get_log("browser") if line["level"] == "SEVERE"]
    finally:
        console.stop()
