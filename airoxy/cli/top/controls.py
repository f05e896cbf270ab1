"""What has been typed in `airoxy top`: which view, how it is sorted, filtered and scrolled."""

from __future__ import annotations

from dataclasses import dataclass, field

OVERVIEW, REQUESTS, KEYS, TOKENS = "overview", "requests", "keys", "tokens"
VIEWS = (OVERVIEW, REQUESTS, KEYS, TOKENS)

HELP = (
    ("1 2 3 4", "overview, requests, client keys, upstream tokens (or Tab)"),
    ("s S", "sort by the next column, by the one before"),
    ("r", "turn the order round"),
    ("/", "show only lines with a word; Enter keeps it, Esc takes it away"),
    ("↑ ↓ j k", "scroll by a line; PgUp and PgDn by a page, Home and End to the ends"),
    ("p", "pause, and go on"),
    ("?", "this help, and back"),
    ("q", "quit"),
)
#: Lines that a key scrolls by; a page is known when it is drawn.
_STEPS = {"KEY_DOWN": 1, "j": 1, "KEY_UP": -1, "k": -1}
_PAGES = {"KEY_NPAGE": 1, " ": 1, "KEY_PPAGE": -1}
_FAR = 10**9
_ENDS = {"KEY_HOME": -_FAR, "g": -_FAR, "KEY_END": _FAR, "G": _FAR}
_ESCAPE, _ENTER = "\x1b", ("\n", "\r", "KEY_ENTER")
_BACKSPACE = ("\x7f", "\b", "KEY_BACKSPACE")


@dataclass
class Controls:
    """`press` changes it; who draws says by `drawn` how many lines there are."""

    view: str = OVERVIEW
    #: The column that a view is sorted by, and the views whose order is turned round.
    sort: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIEWS, 0))
    turned: set[str] = field(default_factory=set)
    word: str = ""
    is_typing: bool = False
    is_helping: bool = False
    is_paused: bool = False
    offset: int = 0
    _page: int = 1

    def press(self, key: str) -> bool:
        """What a key does, named as curses names it; whether it goes on."""
        if self.is_typing:
            self._type(key)
        elif key in ("q", "Q"):
            return False
        elif key in ("?", "h", "KEY_F(1)"):
            self.is_helping = not self.is_helping
        elif self.is_helping:
            self.is_helping = key == "KEY_RESIZE"
        else:
            self._command(key)
        return True

    def drawn(self, rows: int, room: int) -> int:
        """The first of `rows` that is shown where there is room for so many."""
        self._page = max(1, room - 1)
        self.offset = max(0, min(self.offset, rows - room))
        return self.offset

    def _command(self, key: str) -> None:
        if key in ("1", "2", "3", "4"):
            self._show(int(key) - 1)
        elif key in ("\t", "KEY_BTAB"):
            self._show(VIEWS.index(self.view) + (1 if key == "\t" else -1))
        elif key in ("s", "S"):
            self.sort[self.view] += 1 if key == "s" else -1
            self.turned.discard(self.view)
            self.offset = 0
        elif key == "r":
            self.turned ^= {self.view}
        elif key == "/":
            self.is_typing = self.view != OVERVIEW
        elif key == "p":
            self.is_paused = not self.is_paused
        elif key == _ESCAPE:
            self.word = ""
        else:
            self.offset += _STEPS.get(key) or _PAGES.get(key, 0) * self._page or _ENDS.get(key, 0)

    def _show(self, number: int) -> None:
        self.view = VIEWS[number % len(VIEWS)]
        self.word, self.offset = "", 0

    def _type(self, key: str) -> None:
        if key in _ENTER:
            self.is_typing = False
        elif key == _ESCAPE:
            self.is_typing, self.word = False, ""
        elif key in _BACKSPACE:
            self.word = self.word[:-1]
        elif len(key) == 1 and key.isprintable():
            self.word += key
        self.offset = 0
