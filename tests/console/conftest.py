"""A running console for each module, and what is stopped at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.browser import PATIENCE, headless
from tests.console.running import Browser, Console, Program


@pytest.fixture(scope="module")
def make_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Console]]:
    """Sets up a console: `make_console(console={"tls": True}).start()` runs it."""
    made: list[Console] = []

    def make(**settings: Any) -> Console:
        directory: Path = tmp_path_factory.mktemp("console")
        made.append(Console(directory, **settings))
        return made[-1]

    yield make
    for console in made:
        console.stop()


@pytest.fixture(scope="module")
def console(make_console: Callable[..., Console]) -> Console:
    """A running one with the default settings; users and tokens are each test's own."""
    return make_console().start()


@pytest.fixture(scope="module")
def maria(console: Console) -> Browser:
    """An admin who is logged in."""
    return console.browser("maria")


@pytest.fixture(scope="module")
def program(console: Console) -> Program:
    """An admin's program that uses the API."""
    return Program(console, console.program("program"))


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Any]:
    driver = headless(tmp_path / "profile")
    driver.implicitly_wait(PATIENCE)
    yield driver
    driver.quit()
