#!/usr/bin/python3
"""Writes man/airoxy.1 and man/airoxy.yaml.5: `python3 man/generate.py`.

Commands and options come from the parser by way of argparse-manpage (4.5 or newer; older ones make
broken pages), settings from the schema; the rest of each page is in its `.in` file, where @NAME@
shows where they go.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airoxy.cli.parsing.parser import Parser
    from airoxy.config import Setting

_LINES = re.MULTILINE | re.DOTALL

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def airoxy_1() -> str:
    """airoxy(1), from the parser."""
    os.environ["COLUMNS"] = "1000"  # argparse would break lines to the width of this terminal
    from argparse_manpage.manpage import Manpage

    from airoxy.cli import build_parser

    page = str(Manpage(_unbroken(build_parser()), format="single-commands-section"))
    options, commands = re.findall(
        r"^\.SH ?\n?(?:OPTIONS|COMMANDS)\n(.*?)(?=^\.SH|\Z)", page, _LINES
    )
    return _fill("airoxy.1.in", options=options, commands=_tidy(commands), json=_json())


def _unbroken(parser: Parser) -> Parser:
    """With help in lines of any length: `man` breaks them to the width of the terminal."""
    parser.formatter_class = argparse.HelpFormatter
    for command in parser.commands_below().values():
        _unbroken(command)
    return parser


def _json() -> str:
    """The fields of what commands print with --json."""
    from airoxy.views.json_documents import DOCUMENTS

    lines = []
    for document in DOCUMENTS:
        commands = ", ".join(f"\\fB{_roff(command)}\\fR" for command in document.commands)
        lines += [".PP", commands]
        for name, text in document.fields.items():
            lines += [".TP", rf"\fB{_roff(name)}\fR", f"{_roff(text)}."]
    return "\n".join(lines)


def airoxy_yaml_5() -> str:
    """airoxy.yaml(5), from the schema."""
    from airoxy.config import SCHEMA

    return _fill("airoxy.yaml.5.in", settings="\n".join(map(_setting, SCHEMA)))


def _fill(name: str, **parts: str) -> str:
    from airoxy import __version__

    changes = (HERE.parent / "debian" / "changelog").read_text()
    stamp = re.search(r"^ -- .*>  (.*)$", changes, re.MULTILINE)
    assert stamp, "debian/changelog has no date"
    parts["date"] = parsedate_to_datetime(stamp[1]).strftime("%Y-%m-%d").replace("-", "\\-")
    parts["version"] = __version__
    text = (HERE / name).read_text()
    for key, value in parts.items():
        text = text.replace(f"@{key.upper()}@", value.strip("\n"))
    return text


def _tidy(commands: str) -> str:
    """Usage as manuals have it, no headings for one or two arguments, and nothing said twice."""
    page = []
    blocks = re.split(r"^(?=\.SS )", commands, flags=re.MULTILINE)
    for block in filter(None, blocks):
        heading, short, *rest = block.splitlines()
        said = [line for line in rest if line not in ("arguments:", "options:", ".RS 7", ".RE")]
        usage, *texts = re.split(r"\n{2,}", "\n".join(said).strip())
        if not (texts and texts[0].startswith(short)):
            texts.insert(0, f"{short}.")
        first, *others = [*_usage(usage), *texts]
        page += [heading, first]
        page += [text if text.startswith(".TP") else f".PP\n{_wrapped(text)}" for text in others]
    return "\n".join(page)


def _wrapped(text: str) -> str:
    """Lines as a person would write them; none begins with what troff takes for a request."""
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(rf"\&{line}" if line[0] in ".'" else line for line in lines)


def _usage(line: str) -> list[str]:
    """`usage: airoxy token list [-h] [--json]` less what the heading and every command has."""
    command, _, rest = line.removeprefix("usage: ").partition(r" [\-h]")
    return [rf"\fB{command}\fR{rest}"] if rest not in ("", " COMMAND ...") else []


def _setting(setting: Setting) -> str:
    return "\n".join(
        (
            ".TP",
            f".B {_roff(setting.key)}",
            _roff(setting.why),
            ".br",
            rf"Default: \fB{_roff(_default(setting.default))}\fR.",
            f"Give {_roff(setting.wanted)}.",
        )
    )


def _default(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if value == ():
        return "[]"
    return "null" if value is None else str(value)


def _roff(text: str) -> str:
    """Text so that roff takes nothing in it for its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return re.sub(r"^([.'])", r"\\&\1", text)


PAGES = {"airoxy.1": airoxy_1, "airoxy.yaml.5": airoxy_yaml_5}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
