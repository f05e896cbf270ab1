"""`airoxy top`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.cli.command import Context
from airoxy.cli.system.health import HealthAnswer
from airoxy.cli.top.top import Watch
from airoxy.cli.top.view import BAD, GOOD, SOFT, WARN, Line, Picture, lines
from airoxy.store import tokens
from airoxy.store.usage.daily import TOTALS
from tests.cli.terminal import Screen, Typed
from tests.conftest import NOON, Clock
from tests.program import PYTHON, ROOT, Airoxy, environment
from tests.store.seed import add_key, add_token, append, days_ago, row

NOTHING = dict.fromkeys(TOTALS, 0)
WELL = {"status": "ok", "version": "1.0.0", "uptime": 7300, "tokens_ready": 2, "streams_open": 37}


def picture(**changes: Any) -> Picture:
    plain: dict[str, Any] = {
        "now": NOON,
        "health": HealthAnswer("", 200, WELL),
        "rate": 12.34,
        "totals": NOTHING | {"requests": 1234, "failed": 5, "cost_nanousd": 98_760_000_000},
        "tokens": [
            {"name": "console", "state": "ready", "requests": 300, "quota": []},
            {"name": "max", "state": "cooling opus-5 59m 10s (rate limited)", "requests": 100}
            | {"quota": []},
        ],
        "keys": [
            NOTHING | {"api_key_id": 1, "api_key_name": "alice", "cost_nanousd": 80 * 10**9},
            NOTHING | {"api_key_id": 2, "api_key_name": "bob", "cost_nanousd": 10**9},
        ],
        "errors": [
            {"requested_at": "2026-11-22T11:59:58.000Z", "api_key_name": "alice"}
            | {"token_name": "console", "model": "claude-opus-5-5", "status_code": 529}
            | {"error_message": "Overloaded " * 20, "ending": "complete"}
        ],
    }
    return Picture(**plain | changes)


def shown(given: Picture, width: int = 79, height: int = 24) -> list[str]:
    return [line.text for line in lines(given, width, height, Screen())]


def styles(given: Picture) -> dict[str, str]:
    return {
        line.text.split()[0]: line.style for line in lines(given, 79, 24, Screen()) if line.text
    }


def test_all_is_there_in_80_columns() -> None:
    assert shown(picture()) == [
        "airoxy 1.0.0, up 2h 1m                                   12:00:00 UTC   q quits",
        "12.3 requests/s   37 open streams   2 tokens ready",
        "today: 1,234 requests, 5 failed, $98.76",
        "",
        "TOKEN             STATE                           REQUESTS  SHARE",
        "console           ready                                300    75%  ████████▎",
        "max               cooling opus-5 59m 10s (rate …       100    25%  ██▊",
        "",
        "KEY                   REQUESTS  FAILED     IN    OUT      TODAY",
        "alice                        0       0      0      0     $80.00  ████████████",
        "bob                          0       0      0      0      $1.00  ▏",
        "",
        "LAST ERRORS",
        "11:59:58  alice       console     opus-5-5      529  Overloaded Overloaded Ove…",
    ]


def test_what_a_key_spends_is_shown_against_its_limit_of_the_day() -> None:
    keys = [
        NOTHING | {"api_key_id": n, "api_key_name": name, "cost_nanousd": cost, "limit": limit}
        for n, (name, cost, limit) in enumerate(
            [
                ("a-machine-that-builds", 5 * 10**9, 10**10),
                ("near", 9 * 10**9, 10**10),
                ("over", 11 * 10**9, 10**10),
                ("free", 99 * 10**9, None),
            ]
        )
    ]
    given = picture(keys=keys)
    assert shown(given)[8:13] == [
        "KEY             REQUESTS  FAILED     IN    OUT      TODAY      LIMIT",
        "a-machine-tha…         0       0      0      0      $5.00     $10.00  ███▌",
        "near                   0       0      0      0      $9.00     $10.00  ██████▎",
        "over                   0       0      0      0     $11.00     $10.00  ███████",
        "free                   0       0      0      0     $99.00          -",
    ]
    found = styles(given)
    assert [found[name] for name in ("a-machine-tha…", "near", "over", "free")] == [
        "", WARN, BAD, ""
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1, 20, 79, 200])
@pytest.mark.parametrize("height", [1, 8, 24, 60])
def test_it_fits_whatever_the_terminal(width: int, height: int) -> None:
    many = {
        "tokens": list(picture().tokens) * 20,
        "keys": list(picture().keys) * 20,
        "errors": list(picture().errors) * 50,
    }
    drawn = shown(picture(**many), width, height)
    assert len(drawn) <= height
    assert max(map(len, drawn)) <= width
    if height >= 24:
        assert len(drawn) == height
    if (width, height) == (79, 24):
        assert [line for line in drawn if line.startswith("…")] == [
            "… and 36 more", "… and 36 more"
        ]  # fmt: skip


def test_what_there_is_not_is_said() -> None:
    told = "\n".join(shown(picture(tokens=[], keys=[], errors=[], rate=None, health=None)))
    for text in ("No tokens: airoxy token add", "No requests today.", "None.", "- requests/s"):
        assert text in told


def test_colours_say_how_it_stands() -> None:
    states = ("ready", "cooling 5s (x)", "inactive: y", "disabled")
    given = [
        {"name": f"t{n}", "state": told, "requests": 0, "quota": []}
        for n, told in enumerate(states)
    ]
    found = styles(picture(tokens=given))
    assert [found[f"t{n}"] for n in range(4)] == [GOOD, WARN, BAD, SOFT]


def test_a_ready_token_looks_well_whose_quota_is_known() -> None:
    windows = [{"window": "5h", "used": 0.1, "resets_at": NOON + 60}]
    ready = {"name": "max", "state": "ready", "requests": 0, "quota": windows}
    (line,) = (
        each for each in lines(picture(tokens=[ready]), 79, 24, Screen()) if "max" in each[0]
    )
    assert line.text.split()[:4] == ["max", "ready,", "5h", "10%"]
    assert line.style == GOOD


def test_a_server_that_is_not_well_is_heard() -> None:
    silent = picture(health=HealthAnswer("", None, {"reason": "Connection refused"}))
    assert Line("The server does not answer: Connection refused", BAD) in lines(
        silent, 79, 24, Screen()
    )
    unwell = picture(health=HealthAnswer("", 503, WELL | {"reason": "There is no active token"}))
    assert Line("There is no active token", BAD) in lines(unwell, 79, 24, Screen())


def test_nothing_speaks_to_the_terminal() -> None:
    nasty = "\x1b[31m\n\x9b"
    given = picture(
        tokens=[{"name": nasty, "state": nasty, "requests": 0, "quota": []}],
        keys=[NOTHING | {"api_key_id": 1, "api_key_name": nasty}],
        errors=[dict(picture().errors[0]) | {"error_message": nasty, "model": nasty}],
    )
    assert all(line.isprintable() for line in shown(given))


# What it knows


@pytest.fixture
def watch(db: apsw.Connection, clock: Clock) -> Iterator[Watch]:
    add_key(db, "alice")
    add_token(db, "console")
    append(db, row(days_ago(1)), row(), row(status_code=529, error_message="old"))
    typed = Typed(Path(db.filename), clock)
    context = Context(typed.config, out=Screen(), clock=clock)
    yield Watch(context)
    context.database.close()


def test_what_is_written_is_seen_at_once(db: apsw.Connection, watch: Watch) -> None:
    first = watch.picture(None)
    assert first.totals["requests"] == 2
    assert [error["error_message"] for error in first.errors] == ["old"]
    append(db, row(status_code=500, error_message="new"), row(token_id=None))
    tokens.toggle_token(db, 1, NOON)
    second = watch.picture(None)
    assert second.totals["requests"] == 4
    assert second.keys[0]["requests"] == 4
    (token,) = second.tokens
    assert [token[name] for name in ("name", "state", "requests")] == ["console", "disabled", 3]
    assert [error["error_message"] for error in second.errors] == ["new", "old"]


def test_nothing_is_read_while_nothing_changes(
    db: apsw.Connection, watch: Watch, clock: Clock
) -> None:
    first = watch.picture(None)
    assert watch.picture(None).totals is first.totals
    clock.advance(6)
    assert watch.picture(None).totals is not first.totals
    clock.advance(86400)
    assert watch.picture(None).totals["requests"] == 0


def test_the_rate_is_that_of_the_last_seconds(
    db: apsw.Connection, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert watch.picture(None).rate is None
    now = 102.0
    append(db, *[row()] * 10)
    assert watch.picture(None).rate == 5
    now = 113.0
    assert watch.picture(None).rate == 0


# In a terminal


class Terminal:
    """A terminal of 80 columns with a command in it."""

    def __init__(self, *words: str, **environ: str) -> None:
        self.side, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        self.before = termios.tcgetattr(there)
        self.there = there
        self.seen = b""
        self.process = subprocess.Popen(
            [PYTHON, "-m", "airoxy", *words],
            cwd=ROOT, stdin=there, stdout=there, stderr=there, start_new_session=True,
            env=environment() | {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | environ,
        )  # fmt: skip

    def wait_for(self, text: str, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while text.encode() not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, self.seen.decode(errors="replace")
            if select.select([self.side], [], [], left)[0]:
                self.seen += os.read(self.side, 65536)

    def type(self, text: str) -> None:
        os.write(self.side, text.encode())

    def ended(self) -> int:
        """The exit status; the terminal is as it was."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            if select.select([self.side], [], [], 0.05)[0]:
                self.seen += os.read(self.side, 65536)
        with contextlib.suppress(OSError):
            while select.select([self.side], [], [], 0)[0]:
                self.seen += os.read(self.side, 65536)
        assert termios.tcgetattr(self.there) == self.before
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.side)
        os.close(self.there)


@pytest.fixture
def terminal(airoxy: Airoxy) -> Iterator[Terminal]:
    """Top, in front of a running airoxy."""
    airoxy.token("sk-ant-api-test-one")
    terminal = Terminal("--config", str(airoxy.config), "top")
    yield terminal
    terminal.close()


#: What xterm is told at the end: back to the screen that was there before.
RESTORED = b"\x1b[?1049l"


def test_it_lives_until_q(airoxy: Airoxy, terminal: Terminal) -> None:
    terminal.wait_for("token-1")
    terminal.wait_for("1 token ready")
    key = airoxy.key("carol")
    asked = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": []}
    assert airoxy.request("POST", "/v1/messages", asked, key=key).status == 200
    terminal.wait_for("carol")
    terminal.type("q")
    assert terminal.ended() == 0
    assert RESTORED in terminal.seen
    assert b"Traceback" not in terminal.seen


@pytest.mark.parametrize(("how", "status"), [("\x03", 0), (signal.SIGTERM, 143)])
def test_it_leaves_the_terminal_as_it_was(
    airoxy: Airoxy, how: str | signal.Signals, status: int
) -> None:
    terminal = Terminal("--config", str(airoxy.config), "top")
    try:
        terminal.wait_for("No tokens")
        if isinstance(how, str):
            os.killpg(terminal.process.pid, signal.SIGINT)
        else:
            terminal.process.send_signal(how)
        assert terminal.ended() == status
        assert RESTORED in terminal.seen
    finally:
        terminal.close()


def test_a_window_that_changes_is_drawn_anew(terminal: Terminal) -> None:
    terminal.wait_for("token-1")
    fcntl.ioctl(terminal.there, termios.TIOCSWINSZ, struct.pack("4H", 5, 30, 0, 0))
    os.killpg(terminal.process.pid, signal.SIGWINCH)
    seen = len(terminal.seen)
    while len(terminal.seen) == seen:
        terminal.seen += os.read(terminal.side, 65536)
    terminal.type("q")
    assert terminal.ended() == 0


def test_its_keys_work_in_a_terminal(airoxy: Airoxy, terminal: Terminal) -> None:
    terminal.wait_for("1 token ready")
    for key, text in (("2", "No requests in"), ("3", "LIMIT"), ("4", "RESETS"), ("?", "scroll by")):
        terminal.type(key)
        terminal.wait_for(text)
    terminal.type("?2/\N{LATIN SMALL LETTER E WITH ACUTE}q")  # q is a letter there
    terminal.wait_for("éq_")
    terminal.type("\r")
    terminal.wait_for("Nothing has 'éq' in it.")
    terminal.type("q")
    assert terminal.ended() == 0


def test_a_terminal_that_can_nothing_is_told(airoxy: Airoxy) -> None:
    terminal = Terminal("--config", str(airoxy.config), "top", TERM="nonsense")
    try:
        assert terminal.ended() == 1
        assert b"TERM=xterm" in terminal.seen
    finally:
        terminal.close()


def test_without_a_terminal_it_says_so(airoxy: Airoxy) -> None:
    done = airoxy.run("top")
    assert done.returncode == 1
    assert done.stderr == "airoxy: `airoxy top` wants a terminal; see `airoxy stats --today`.\n"
