"""Where the documents lead their readers is something."""

from __future__ import annotations

import re

import pytest

from tests.program import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def anchors(text: str) -> set[str]:
    """What its headings are called in links, as GitHub does it."""
    return set(map(anchor, re.findall(r"^#+ (.*)$", text, re.MULTILINE)))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    for path, anchor in LINK.findall(document.read_text()):
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), f"{path}#{anchor}"


def test_no_merge_has_left_its_marks():
    marked = [
        path.name for path in DOCUMENTS if re.search(r"^[<>]{7} ", path.read_text(), re.MULTILINE)
    ]
    assert marked == []  # a conflict that was committed


def test_the_links_work_where_the_package_puts_the_documents():
    """Below /usr/share/doc/airoxy, by what debian/ says."""
    documents = [ROOT / name for name in (ROOT / "debian/airoxy.docs").read_text().split()]
    lines = (ROOT / "debian/airoxy.install").read_text().splitlines()
    documents += [ROOT / line.split()[0] for line in lines if "usr/share/doc/airoxy" in line]
    installed = {file for path in documents for file in (path, *path.rglob("*"))}
    broken = [
        (document.name, path)
        for document in installed
        if document.suffix == ".md" and document.parent.name != "site"
        for path, _ in LINK.findall(document.read_text())
        if path and (document.parent / path).resolve() not in installed
    ]
    assert broken == []
