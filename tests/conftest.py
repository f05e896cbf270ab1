"""What most tests need: a database, a clock, an Anthropic, and airoxy itself as a program."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic


@pytest.fixture
def upstream() -> Iterator[FakeAnthropic]:
    """A fake Anthropic. Whatever the test is about, no client's key may ever reach it."""
    with FakeAnthropic() as fake:
        yield fake
        leaked = [s for s in fake.requests if re.search(rb"\bak-[A-Za-z0-9]{40}", s.head + s.body)]
        assert not leaked
