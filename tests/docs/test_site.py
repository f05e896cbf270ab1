"""`make docs`: the documentation as a site, with every page in it and no warning of Sphinx's."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.program import ROOT, need


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
