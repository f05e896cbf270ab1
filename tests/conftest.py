"""What most tests need: a database, a clock, an Anthropic, and airoxy itself as a program."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.databases import open_new
from tests.fake_anthropic import FakeAnthropic
from tests.midnight import wait_past_midnight
from tests.program import Airoxy, ended
from tests.upstream.certificates import Authority

if TYPE_CHECKING:
    import apsw

#: Sunday, 22 November 2026, 12:00 UTC.
NOON = 1795348800.0
#: Of the names of parameters (characters), so that a line of a report has the whole name of a test.
LONGEST_NAME = 80


def pytest_configure() -> None:
    _let_signals_end_programs()
    _draw_the_same_examples()


def _draw_the_same_examples() -> None:
    """Hypothesis draws the same each time, or a change would be blamed for what chance has found,
    and waits for a busy machine. `--hypothesis-profile random` draws others each time."""
    from hypothesis import HealthCheck, settings  # not at the top: others import this module

    slow = [HealthCheck.too_slow]
    settings.register_profile("random", deadline=None, suppress_health_check=slow)
    settings.register_profile("same", settings.get_profile("random"), derandomize=True)
    settings.load_profile("same")


def _let_signals_end_programs() -> None:
    """A job in the background ignores these signals, and so would what is started here."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long parameter is named by its beginning: names are kept, compared, sent between processes
    and put into the environment, and some parameters have megabytes. Equal ones are numbered."""
    if not isinstance(val, str | bytes) or len(val) <= LONGEST_NAME:
        return None  # as pytest names it
    start = val[:LONGEST_NAME]
    text = start if isinstance(start, str) else start.decode("latin-1")
    return text.encode("unicode_escape").decode("ascii")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)  # around what measures how long the test takes
def pytest_runtest_protocol() -> Iterator[None]:
    """No test begins at one day and ends at another: see tests/midnight.py."""
    wait_past_midnight()
    yield


class Clock:
    """A wall clock that moves when it is told to: `clock()` is now, in Unix seconds."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A new database, in a file."""
    connection = open_new(tmp_path / "airoxy.db")
    yield connection
    connection.close()


@pytest.fixture
def upstream() -> Iterator[FakeAnthropic]:
    """A fake Anthropic. Whatever the test is about, no client's key may ever reach it."""
    with FakeAnthropic() as fake:
        yield fake
        leaked = [s for s in fake.requests if re.search(rb"\bak-[A-Za-z0-9]{40}", s.head + s.body)]
        assert not leaked


@pytest.fixture
def install(tmp_path: Path, upstream: FakeAnthropic) -> Iterator[Callable[..., Airoxy]]:
    """Sets up an airoxy in front of the fake; `install(workers=2).start()` runs it."""
    made: list[Airoxy] = []

    def install(**settings: Any) -> Airoxy:
        made.append(Airoxy(tmp_path / f"airoxy-{len(made)}", upstream.url, **settings))
        return made[-1]

    with ended(made):
        yield install


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom clients trust."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def secured(install: Callable[..., Airoxy], authority: Authority) -> Airoxy:
    """A running airoxy that speaks TLS."""
    certificate, key = authority.files()
    airoxy = install(tls={"certificate": str(certificate), "key": str(key)})
    airoxy.trust = authority.trusting()
    return airoxy.start()


@pytest.fixture
def airoxy(install: Callable[..., Airoxy]) -> Airoxy:
    """A running airoxy with the default settings, in front of the fake."""
    return install().start()
