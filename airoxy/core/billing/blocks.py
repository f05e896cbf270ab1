"""Cuts a stream of bytes into whole blocks, such as lines or server-sent events."""

from __future__ import annotations


class Blocks:
    """Blocks that end in `mark`. A block longer than `longest` bytes is left out, so that what is
    kept is bounded; the result does not depend on how the bytes were cut into pieces."""

    __slots__ = ("_longest", "_mark", "_rest", "_skipping", "begun", "skipped")

    def __init__(self, mark: bytes, longest: int) -> None:
        self._mark = mark
        self._longest = longest
        self._rest = bytearray()
        self._skipping = False
        #: Whether there are bytes of a block that has not ended.
        self.begun = False
        #: Blocks that were left out.
        self.skipped = 0

    def cut(self, piece: bytes) -> bytes:
        """The blocks that are whole now, marks included."""
        mark, rest = self._mark, self._rest
        if not self.begun and piece.endswith(mark):
            return piece
        searched = max(0, len(rest) - len(mark) + 1)
        rest += piece
        end = rest.rfind(mark, searched) + len(mark)
        if end < len(mark):
            self._bound()
            self.begun = True
            return b""
        whole = bytes(rest[:end])
        del rest[:end]
        if self._skipping:
            whole = whole[whole.find(mark) + len(mark) :]
            self._skipping = False
            self.skipped += 1
        self._bound()
        self.begun = self._skipping or bool(rest)
        return whole

    def rest(self) -> bytes:
        """What has no end yet, without a mark; nothing follows it."""
        rest = b"" if self._skipping else bytes(self._rest)
        self._rest.clear()
        self._skipping = self.begun = False
        return rest

    def _bound(self) -> None:
        begun = len(self._mark) - 1  # so many bytes may be the beginning of the mark
        if self._skipping or len(self._rest) > self._longest + begun:
            self._skipping = True
            del self._rest[: max(0, len(self._rest) - begun)]


def events_with(block: bytes, looked_for: tuple[bytes, ...]) -> list[bytes]:
    """The events that have one of `looked_for`. Hundreds may have come together, and nearly all
    hold text: they are not even told apart."""
    events: dict[int, int] = {}
    find, rfind = block.find, block.rfind
    for name in looked_for:
        at = find(name)
        while at >= 0:
            end = find(b"\n\n", at)
            start = rfind(b"\n\n", 0, at)
            events[start + 2 if start >= 0 else 0] = end if end >= 0 else len(block)
            at = find(name, end) if end >= 0 else -1
    return [block[start : events[start]] for start in sorted(events)]
