"""`make docs`: the documentation as a site, with every page in it and no warning of Sphinx's."""

from __future__ import annotations

import json
import re
import subprocess
from urllib.parse import unquote, urlsplit

import pytest

from tests.program import ROOT, need

#: Sphinx takes ten seconds of a processor, which on a slow and busy machine are minutes.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that it was built in."""
    target = tmp_path_factory.mktemp("site")
    command = [need("sphinx-build"), "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-c", ROOT / "docs/site", "-d", target / "doctrees", ROOT, target / "html"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return target / "html"


def test_every_page_is_in_it(site):
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    missing = [
        path for path in pages if not (site / path.relative_to(ROOT)).with_suffix(".html").exists()
    ]
    assert missing == []


def test_search_finds_what_people_look_for(site):
    index = (site / "searchindex.js").read_text()
    found = json.loads(re.search(r"Search\.setIndex\((.*)\)", index, re.DOTALL)[1])
    words = [
        word for word in ("haproxi", "downgrad", "prometheu", "leak") if word in found["terms"]
    ]
    assert words == ["haproxi", "downgrad", "prometheu", "leak"]


def test_its_root_leads_to_the_first_page(site):
    target = re.search(r"url=(.+?)\"", (site / "index.html").read_text())[1]
    assert (site / target).exists()


def test_every_link_leads_somewhere(site):
    pages = {page: page.read_text() for page in site.rglob("*.html")}
    anchors = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    links = [
        (page, urlsplit(link))
        for page, text in pages.items()
        for link in re.findall(r'href="([^"]+)"', text)
    ]
    inside = [(page, link) for page, link in links if not (link.scheme or link.netloc)]
    assert len(inside) > 1000
    lost = [
        (str(page.relative_to(site)), link.geturl())
        for page, link in inside
        for target in [(page.parent / unquote(link.path)).resolve() if link.path else page]
        if not target.exists()
        or (link.fragment and unquote(link.fragment) not in anchors.get(target, ()))
    ]
    assert lost == []
