"""axe-core in a browser that Selenium drives: what keeps people from reading or using a page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.program import ROOT

_AXE = ROOT / ".venv/node/node_modules/axe-core/axe.min.js"
_RUN = """
const done = arguments[0];
axe.run(document, { resultTypes: ["violations"] }).then((found) => done(
  found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html).join(" ")}`)
));
"""


def violations(driver: Any) -> list[str]:
    """Of the page that is open; the test is left out where axe-core is not installed."""
    if not _AXE.exists():
        pytest.skip("axe-core is not installed")
    driver.execute_script(_AXE.read_text())
    found: list[str] = driver.execute_async_script(_RUN)
    return found
