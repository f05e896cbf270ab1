"""The troubleshooting guide quotes airoxy, and airoxy really says each of these messages.

Invariant: a message that is quoted can be provoked (`provocations`), and the other way round.
"""

from __future__ import annotations

import re

import pytest

from tests.docs.provocations import PROVOCATIONS, Scene
from tests.program import ROOT

GUIDE = (ROOT / "docs/troubleshooting.md").read_text()
#: In the tables' first column, with the status that a client sees; in running text with its "…".
IN_TABLES = re.findall(r"^\| (?:(\d{3}) )?(`{1,2})(.+?)\2 \|", GUIDE, re.MULTILINE)
TEXT = re.sub(r"^\|.*$", "", GUIDE, flags=re.MULTILINE)
IN_TEXT = re.findall(r"`((?:No|Not|Only|systemd) [^`]*)`", TEXT)
QUOTED = [(status, message) for status, _, message in IN_TABLES if message != "airoxy logs"]
QUOTED += [("", message) for message in IN_TEXT]


@pytest.mark.parametrize(("status", "message"), QUOTED)
def test_a_message_that_is_quoted_is_said(install, upstream, tmp_path, status, message):
    told = PROVOCATIONS[message](Scene(install, upstream, tmp_path))
    pattern = re.escape(f"{status} {message}".strip()).replace("…", ".*")
    assert re.search(pattern, told, re.DOTALL), told


def test_what_can_be_provoked_is_quoted():
    assert {message for _, message in QUOTED} == set(PROVOCATIONS)
