"""`airoxy top`: a live view of requests, keys and tokens in the terminal.

Invariant: it changes nothing. The database is read when it has changed, and the server is asked in
a thread of its own, so that a typed key takes effect at once; a service that does not run is not
asked, since that would start it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from airoxy.cli.command import Command, Context
from airoxy.cli.parsing.arguments import HERE
from airoxy.cli.system.health import HealthAnswer, Own, ask_if_running, own_server
from airoxy.cli.top.controls import Controls
from airoxy.cli.top.lists import frame
from airoxy.cli.top.others import Others
from airoxy.cli.top.view import BAD, GOOD, HEAD, SOFT, WARN, Picture
from airoxy.errors import AiroxyError
from airoxy.store import keys, schema, tokens
from airoxy.store.usage import requests
from airoxy.views.tokens import state

if TYPE_CHECKING:
    import curses

    from airoxy.config import Config

#: How often the screen is drawn, and the server asked (seconds).
_DRAW, _ASK = 0.5, 1.0
#: The span over which the rate is averaged (seconds).
_WINDOW = 10.0
#: How often the database is read without a commit, for changes such as the end of a cooldown
#: (seconds).
_STALE = 5.0
#: Errors are looked for among this many of the last requests.
_BACK = 5000
_ERRORS = 50
#: How many of the newest requests are listed.
_REQUESTS = 1000


def _run(context: Context, args: Namespace) -> None:
    import curses

    if not context.out.isatty():
        raise AiroxyError("`airoxy top` wants a terminal; see `airoxy stats --today`.")
    own = own_server(context.config.tls)  # before the database is opened, and root given up
    watch = Watch(context, here=args.here)
    os.environ.setdefault("ESCDELAY", "50")  # ncurses waits a second for what may follow Esc
    # The terminal is to be left as it was found, whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with (
        closing(watch),
        closing(Pulse(context.config, own)) as pulse,
        suppress(KeyboardInterrupt),
    ):
        try:
            curses.wrapper(_show, context, watch, pulse)
        except curses.error as error:
            raise AiroxyError(f"This terminal cannot show it ({error}); try TERM=xterm.") from error


class Watch:
    """The part of the screen that comes from the database, read again when it has changed."""

    def __init__(self, context: Context, *, here: bool = False) -> None:
        self._context = context
        self._others = Others(context, here=here)
        self._begin()

    def close(self) -> None:
        self._others.close()

    def _begin(self) -> None:
        self._version: int | None = None
        self._read_at = 0.0
        self._last = requests.last_id(self._context.database)
        self._looked_to = max(0, self._last - _BACK)
        self._seen: deque[tuple[float, int]] = deque()
        self._errors: list[dict[str, Any]] = []
        self._requests: list[dict[str, Any]] = []
        self._known: dict[str, Any] = {}

    def picture(self, health: HealthAnswer | None) -> Picture:
        """The present state, as it is to be shown."""
        if self._context.reopen_replaced():
            self._begin()
        now, version = self._context.now(), schema.data_version(self._context.database)
        is_new = self._others.take(self._context.database)
        if is_new or version != self._version or not 0 <= now - self._read_at < _STALE:
            self._version, self._read_at = version, now
            self._read(now)
        return Picture(
            now=now, zone=self._context.zone, health=health, rate=self._rate(),
            is_fleet=self._others.is_shared, fleet_trouble=self._others.trouble, **self._known,
        )  # fmt: skip

    def _read(self, now: float) -> None:
        today = self._context.today()
        db = self._context.database
        with schema.snapshot(db):
            self._last = requests.last_id(db)
            failed = requests.failures(db, self._looked_to, _ERRORS)
            limits = {key["id"]: key["spend_per_day_nanousd"] for key in keys.list_keys(db)}
            by_token = requests.totals_by(db, "token", since=today)
            used = {group["token_id"]: group["requests"] for group in by_token}
            self._known = {
                "totals": requests.totals(db, since=today),
                "keys": [
                    {**group, "limit": limits.get(group["api_key_id"])}
                    for group in requests.totals_by(db, "key", since=today)
                ],
                "tokens": [
                    {**each, "state": state(each, now), "requests": used.get(each["id"], 0)}
                    for each in tokens.list_tokens(db, now)
                ],
            }
            before = self._requests[0]["id"] if self._requests else 0
            newer = requests.newest(db, limit=min(_REQUESTS, self._last - before))
        self._requests = [*newer, *self._requests][:_REQUESTS]
        self._known["requests"] = self._others.beside(self._requests)
        self._looked_to = self._last
        self._errors = [*failed, *self._errors][:_ERRORS]
        self._known["errors"] = self._others.failures_beside(self._errors)[:_ERRORS]

    def _rate(self) -> float | None:
        """Requests that ended, per second."""
        now, seen, given = time.monotonic(), self._seen, self._others.given_in_all()
        if given is None:
            return None
        ended = self._last + given
        seen.append((now, ended))
        while len(seen) > 2 and now - seen[1][0] > _WINDOW:
            seen.popleft()
        then, first = seen[0]
        return max(0, ended - first) / (now - then) if now - then >= 1 else None


class Pulse:
    """What the server last said of itself."""

    def __init__(self, config: Config, own: Own) -> None:
        self.health: HealthAnswer | None = None
        self._config = config
        self._own = own
        self._closed = threading.Event()
        threading.Thread(target=self._ask, name="pulse", daemon=True).start()

    def close(self) -> None:
        """It is not waited for: the server may be silent for seconds."""
        self._closed.set()

    def _ask(self) -> None:
        while not self._closed.is_set():
            self.health = ask_if_running(self._config, self._own)
            self._closed.wait(_ASK)


def _styles() -> dict[str, int]:
    """What curses calls the styles of lines; the cursor is hidden, too."""
    import curses

    with suppress(curses.error):  # a terminal without colours, or whose cursor cannot be hidden
        curses.curs_set(0)
        curses.use_default_colors()
        for number, colour in enumerate(
            (curses.COLOR_GREEN, curses.COLOR_YELLOW, curses.COLOR_RED)
        ):
            curses.init_pair(number + 1, colour, -1)
    styles = {HEAD: curses.A_BOLD, SOFT: curses.A_DIM, "": curses.A_NORMAL}
    for number, style in enumerate((GOOD, WARN, BAD)):
        styles[style] = curses.color_pair(number + 1) if curses.has_colors() else curses.A_NORMAL
    return styles


def _show(screen: curses.window, context: Context, watch: Watch, pulse: Pulse) -> None:
    import curses

    styles, controls = _styles(), Controls()
    picture = watch.picture(pulse.health)
    going = True
    while going:
        height, width = screen.getmaxyx()
        screen.erase()
        # The last column stays empty: writing there would scroll the last line.
        drawn = frame(picture, controls, width - 1, height, context.out)
        for y, line in enumerate(drawn):
            text = line.text.encode(screen.encoding, "replace").decode(screen.encoding)
            with suppress(curses.error):  # the window has just become smaller
                screen.addstr(y, 0, text, styles[line.style])
        screen.refresh()
        for key in _typed(screen):
            going = going and controls.press(key)
        if not controls.is_paused:
            picture = watch.picture(pulse.health)


def _typed(screen: curses.window) -> Iterator[str]:
    """The keys that were typed, as curses names them: it is waited for the first."""
    import curses

    try:
        screen.timeout(int(_DRAW * 1000))
        while True:
            key = screen.get_wch()
            yield key if isinstance(key, str) else curses.keyname(key).decode()
            screen.timeout(0)
    except curses.error:  # no more of them
        return


COMMANDS = (
    Command(
        "top",
        "Show what goes on, live",
        _run,
        (HERE,),
        ": requests per second, open streams, the state of each token and its share, what each"
        " client key spends today, the last errors; in views of their own the last requests with"
        " how long they took, the keys, and the tokens with their quota windows and cooldowns, each"
        " to be sorted, filtered and scrolled. ? shows how, q quits. Wants a terminal of 80"
        " columns. In a fleet, sums and requests are those of all hosts; what the server says is"
        " this host's.",
    ),
)
