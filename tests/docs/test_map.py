"""The map of the source: what its pictures and pages name is there, and what is there is on it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.program import ROOT

PACKAGE = ROOT / "airoxy"
DESIGN = (ROOT / "docs/design.md").read_text()
PICTURES = sorted((ROOT / "docs/pictures").glob("*.svg"))
PAGES = [
    ROOT / "docs/design.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs/decisions").glob("*.md")),
    *sorted((ROOT / "docs/internals").glob("*.md")),
]
ROOMS = "|".join(
    path.name for folder in (ROOT, PACKAGE) for path in folder.iterdir() if path.is_dir()
)
#: A path in backticks that begins with a folder of the repository or of airoxy/.
NAMED = re.compile(rf"`((?:{ROOMS})/[\w./-]*)`")


def is_there(name: str) -> bool:
    """As a file, a folder or a module, seen from the repository or from airoxy/."""
    return any(
        path.exists() or path.with_name(f"{path.name}.py").exists()
        for path in (ROOT / name, PACKAGE / name)
    )


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_what_a_picture_names_is_a_module(picture):
    texts = ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")
    named = [text.text or "" for text in texts if text.get("class") == "module"]
    assert named
    assert [name for name in named if not is_there(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_is_there(page):
    assert [name for name in NAMED.findall(page.read_text()) if not is_there(name)] == []


def test_a_name_that_is_gone_would_be_found():
    assert NAMED.findall("see `server/gate.py`, `core/pool` and `uvicorn/server`") == [
        "server/gate.py",
        "core/pool",
    ]
    assert not is_there("server/gate.py")
    assert is_there("core/pool")


def test_both_pictures_are_shown():
    shown = re.findall(r"\]\(pictures/(.*?)\)", DESIGN)
    assert sorted(shown) == [picture.name for picture in PICTURES]


def test_the_map_has_every_room_and_no_other():
    listing = DESIGN.partition("    airoxy/\n")[2].partition("\n\n")[0]
    on_map = set(re.findall(r"\b([a-z_]+(?:/|\.py))(?=\s|$)", listing))
    folders = {f"{path.parent.name}/" for path in PACKAGE.rglob("*.py")} - {"airoxy/"}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert on_map == folders | modules
