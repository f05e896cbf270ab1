"""The decisions: numbered without a gap, dated, whole, and listed."""

from __future__ import annotations

import re
from datetime import date

import pytest

from tests.program import ROOT

FOLDER = ROOT / "docs/decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
HEAD = re.compile(
    r"# (\d{3})\. (.+)\n\n"
    r"Date: (\d{4}-\d\d-\d\d) · Status: (accepted|superseded by \[\d{3}\]\(.+\))\n"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_decision_is_whole(page):
    text = page.read_text()
    head = HEAD.match(text)
    assert head
    number, _, day, _ = head.groups()
    assert page.name.startswith(f"{number}-")
    assert date.fromisoformat(day)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings in (
        ["Context", "Decision", "Alternatives"],
        ["Context", "Decision", "Alternatives", "Consequences"],
    )


def test_the_numbers_have_no_gap_and_no_number_is_used_twice():
    assert [int(page.name[:3]) for page in PAGES] == list(range(1, len(PAGES) + 1))


def test_the_list_has_each_decision_with_its_title_date_and_status():
    listed = re.findall(
        r"^\| \[(\d{3})\]\((.+?)\) \| (.+?) \| (\S+) \| (.+) \|$",
        (FOLDER / "README.md").read_text(),
        re.MULTILINE,
    )
    wanted = []
    for page in PAGES:
        head = HEAD.match(page.read_text())
        assert head
        number, title, day, status = head.groups()
        wanted.append((number, page.name, title, day, status))
    assert listed == wanted
