"""The console for who has no mouse and lets no page run a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airoxy.store import keys
from tests.console.browser import headless, turn
from tests.console.running import Console


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Any]:
    driver = headless(tmp_path / "profile", scripts=False)
    yield driver
    driver.quit()


def test_a_key_is_made_disabled_and_removed_with_nothing_but_keys(
    console: Console, bare: Any
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        ActionChains(bare).send_keys(*keys).perform()

    def reach(selector: str) -> None:
        """With Tab, and it shows that it is reached."""
        for _ in range(60):
            press(Keys.TAB)
            if bare.find_element("css selector", selector) == bare.switch_to.active_element:
                ring = bare.switch_to.active_element.value_of_css_property("outline-style")
                assert ring != "none", selector
                return
        raise AssertionError(f"{selector} cannot be reached")

    def go(*keys: str) -> None:
        turn(bare, lambda: press(*keys))

    def shows(text: str, selector: str) -> bool:
        return any(text in each.text for each in bare.find_elements("css selector", selector))

    bare.get(console.origin + console.user("keyboard"))
    reach("button.main")
    go(Keys.ENTER)
    assert shows("keyboard", "h1")
    reach("nav a[href='/keys']")
    go(Keys.ENTER)
    assert shows("Keys", "h1")
    reach("main form[method=post] input[name=name]")
    go("typed", Keys.ENTER)
    assert shows("ak-", "#secret")
    reach(".actions button")
    go(Keys.ENTER)
    assert shows("disabled", ".tag")
    reach("summary")
    press(Keys.ENTER)
    reach("input[name=typed]")
    go("typed", Keys.ENTER)
    assert shows("Keys", "h1")
    with console.opened() as db:
        assert "typed" not in {each["name"] for each in keys.list_keys(db)}
