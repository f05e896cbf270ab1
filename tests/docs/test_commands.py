"""Every command that a page has its readers type is one that airoxy understands."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import re
import shlex

import pytest

from airoxy.cli import build_parser
from tests.docs.test_links import DOCUMENTS
from tests.program import ROOT

#: What stands for something of the reader's own, and something that it may be.
STANDS_FOR = {
    "ID": "1", "FILE": "/tmp/file", "DATE": "2026-11-22", "NAME": "name", "…": "something",
    "TOKEN": "sk-ant-api-test", "COMMAND": "logs",
}  # fmt: skip
PAGES = [page for page in DOCUMENTS if page.name != "CHANGELOG.md"]
SHELL = re.compile(r"\s(?:[>|&#;]|&&).*$|\s+#.*$")


def commands(text: str) -> list[str]:
    """In blocks, one to a line; in running text, what has more than a group's name."""
    text = text.replace("\\\n", " ")
    typed = re.findall(r"^(?: {4,}|\d\. `)(?:sudo )?airoxy (.*?)(?:`|$)", text, re.MULTILINE)
    typed += re.findall(r"(?:&& )(?:sudo )?airoxy (.*)$", text, re.MULTILINE)
    typed += re.findall(r"`sudo airoxy ([^`]*)`", text)
    return [SHELL.sub("", command).strip() for command in typed]


@functools.cache
def parser() -> argparse.ArgumentParser:
    return build_parser()


def understood(command: str) -> bool:
    words = [STANDS_FOR.get(word, word) for word in shlex.split(command)]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser().parse_args(words)
        except SystemExit as left:
            return left.code == 0
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_is_understood(page):
    found = commands(page.read_text())
    assert [command for command in found if not understood(command)] == []


def test_a_command_that_is_none_would_be_found():
    text = "    sudo airoxy api-key frobnicate 1   # why\n\nand `sudo airoxy token reset ID`"
    assert commands(text) == ["api-key frobnicate 1", "token reset ID"]
    assert [understood(command) for command in commands(text)] == [False, True]
