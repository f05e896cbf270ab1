"""The fenced blocks of a guide, which its readers copy, as they are printed there.

Invariant: a test changes nothing in a block but host names, ports, paths and secrets, and each of
those must be in it.
"""

from __future__ import annotations

import re

from tests.program import ROOT


def blocks(guide: str, language: str) -> list[str]:
    """The blocks of `guide` (below the repository's root) that are marked with this language."""
    text = (ROOT / guide).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def block(guide: str, language: str, having: str = "") -> str:
    """The only one of them that has `having` in it."""
    [found] = [text for text in blocks(guide, language) if having in text]
    return found


def put(text: str, changes: dict[str, str]) -> str:
    """`text` with other names; each must have been there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the guide's\n{text}"
        text = text.replace(old, new)
    return text
