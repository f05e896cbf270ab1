"""What the readers of a guide copy and type, as it is printed there.

Invariant: a test changes nothing of it but host names, ports, paths, names and secrets, and each of
those must be in it.
"""

from __future__ import annotations

import re

from tests.docs.test_links import anchor
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


def section(page: str, heading: str | None) -> str:
    """A page of docs/, or what is under one of its headings, by the heading's anchor."""
    text = (ROOT / f"docs/{page}.md").read_text()
    if heading is None:
        return text
    for found in re.finditer(r"^(#+) (.*)$", text, re.MULTILINE):
        if anchor(found[2]) == heading:
            end = re.search(rf"^#{{1,{len(found[1])}}} ", text[found.end() :], re.MULTILINE)
            rest = text[found.end() :]
            return found[2] + rest[: end.start() if end else None]
    raise AssertionError(f"docs/{page}.md has no {heading}")


def typed(page: str, heading: str) -> list[str]:
    """The commands there, in their order: the lines of indented blocks, which are for the shell,
    and what begins with sudo in running text."""
    text = section(page, heading).replace("\\\n", " ")
    found = re.findall(r"^ {4,}(\S.*)$|`(sudo [^`]+)`", text, re.MULTILINE)
    return [" ".join((line or inline).split()) for line, inline in found]
