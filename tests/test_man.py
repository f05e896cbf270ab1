"""The manual pages: made from the program as it is, whole, and without a complaint from man."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from airoxy.cli import build_parser
from airoxy.config import SCHEMA

ROOT = Path(__file__).parents[1]
MAN = ROOT / "man"
PAGES = ("airoxy.1", "airoxy.yaml.5", "airoxy.service.8", "airoxy-console.8")
UNITS = [p for p in (ROOT / "systemd").iterdir() if p.suffix in (".service", ".socket", ".timer")]
COMMAND = "airoxy ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?"

needs_man = pytest.mark.skipif(shutil.which("lexgrog") is None, reason="man-db is not installed")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", MAN / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(page: str) -> str:
    """A page's words, without what is for roff."""
    text = (MAN / page).read_text()
    text = re.sub(r"\\f[BIRP]|\\[,/:&]", "", text).replace("\\-", "-").replace("\\(dq", '"')
    return re.sub(r"^\.[BI][RI]? ", "", text, flags=re.MULTILINE)


def commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ("airoxy",)
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every parser below this one, with what is typed for it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield (*words, name), inner
                yield from commands(inner, (*words, name))


# -- they say what is so


def test_airoxy_1_is_what_the_parser_makes_of_it(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("argparse_manpage")
    version = tuple(map(int, metadata.version("argparse-manpage").split(".")[:2]))
    if version < (4, 5):
        pytest.skip("argparse-manpage older than 4.5 makes broken pages")
    monkeypatch.setenv("COLUMNS", "40")
    assert (MAN / "airoxy.1").read_text() == generate.airoxy_1(), "run man/generate.py"


def test_airoxy_yaml_5_is_what_the_schema_makes_of_it(generate: ModuleType) -> None:
    assert (MAN / "airoxy.yaml.5").read_text() == generate.airoxy_yaml_5(), "run man/generate.py"


def test_every_command_and_every_option_is_in_airoxy_1() -> None:
    page = plain("airoxy.1")
    parts = re.split(r"^\.SS (.*)\n", page, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    for words, parser in commands(build_parser()):
        section = sections.get(" ".join(words))
        assert section is not None, words
        for action in parser._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or option in section, (words, option)
    for action in build_parser()._actions:
        assert all(option in page for option in action.option_strings)


def test_every_setting_is_in_airoxy_yaml_5_with_its_default() -> None:
    page = plain("airoxy.yaml.5")
    for setting in SCHEMA:
        _, found, after = page.partition(f"\n{setting.key}\n")
        assert found, setting.key
        default = after.partition("Default: ")[2].partition("\n")[0]
        assert default, setting.key


def test_every_unit_is_in_airoxy_service_8() -> None:
    page = plain("airoxy.service.8")
    assert len(UNITS) >= 6
    for unit in UNITS:
        assert unit.name in page


def test_every_page_that_a_unit_names_is_there() -> None:
    named = {
        page for unit in UNITS for page in re.findall(r"man:([\w.-]+\([0-9]\))", unit.read_text())
    }
    assert named
    assert named <= {f"{page.rpartition('.')[0]}({page[-1]})" for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_mentions_is_one(page: str) -> None:
    known = {words for words, _ in commands(build_parser())}
    text = (MAN / page).read_text().replace("\\-", "-")
    examples = "\n".join(re.findall(r"^\.EX\n(.*?)^\.EE", text, re.MULTILINE | re.DOTALL))
    named = re.findall(rf'^\.B[RI]? "?{COMMAND}', text, re.MULTILINE)
    named += re.findall(rf"(?:sudo|&&|^)\s*{COMMAND}", examples, re.MULTILINE)
    for first, second in named:
        assert ("airoxy", first) in known, (first, second)
        group = any(words[:2] == ("airoxy", first) and len(words) > 2 for words in known)
        # `airoxy console` alone is a command as well.
        runs = (first, second) == ("console", "")
        assert not group or runs or ("airoxy", first, second) in known, (first, second)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_sections_that_people_look_for(page: str) -> None:
    headings = re.findall(r"^\.SH (.*)$", (MAN / page).read_text(), re.MULTILINE)
    assert headings[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert {"FILES", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES"} <= set(headings)
    assert headings[-1] == "SEE ALSO"


def test_airoxy_1_says_what_anthropics_terms_mean_for_oauth_tokens() -> None:
    page = " ".join(plain("airoxy.1").split())
    assert "let nobody route other people's requests through them" in page
    assert "between the operator and Anthropic" in page


# -- man takes them


@needs_man
@pytest.mark.parametrize("page", PAGES)
def test_man_has_no_complaint(page: str) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MAN / page],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"},
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_man
@pytest.mark.parametrize("page", PAGES)
def test_apropos_will_find_it(page: str) -> None:
    done = subprocess.run(["lexgrog", MAN / page], capture_output=True, text=True)
    assert done.returncode == 0
    assert f': "{page.rpartition(".")[0]} - ' in done.stdout
