"""The command line's parser: argparse, with errors in one line that names the nearest word."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from airoxy.core.names import printable
from airoxy.errors import EXIT_USAGE

_CHOICE = re.compile(r"argument (.+?): invalid choice: (.+?) \(choose from (.*)\)", re.DOTALL)
_SECRET = re.compile(r"(sk-ant-|\bak-)\S*")


#: Longer lines of help are hard to read, however wide the terminal is (columns).
_WIDEST = 100


class _HelpFormatter(argparse.HelpFormatter):
    """Breaks no line at a hyphen: options and models are to be read as they are typed."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._width = min(self._width, _WIDEST - 2)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in self._split_lines(text, width - len(indent)))


class Parser(argparse.ArgumentParser):
    """Options are not abbreviated, so that a new one breaks no script."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(
            *args, **{**given, "allow_abbrev": False, "formatter_class": _HelpFormatter}
        )

    def error(self, message: str) -> NoReturn:
        """One line, the nearest word, and where the usage is."""
        text = _SECRET.sub(r"\1…", printable(" ".join(self._said(message).split())))
        end = "" if text.endswith((".", "?", "!")) else "."
        print(f"{self.prog}: {text}{end} See `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """`--since=--` is an option with the value `--`; argparse takes that for the end of the
        options, and gives an empty list."""
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            self.error(f"argument {'/'.join(action.option_strings)}: invalid value: '--'")
        return super()._get_values(action, arg_strings)

    # Called for each command by argparse itself, which complains of what is left over only at the
    # top, where nobody knows any more which command it was.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        found, rest = super().parse_known_args(args, namespace)
        if rest := [word for word in rest if word != "--"]:  # which ends the options
            self.error(self._too_much(rest))
        return found, rest

    def commands_below(self) -> dict[str, Parser]:
        """The parsers of the commands that may come next, by word."""
        found: dict[str, Parser] = {}
        for action in self._actions:
            if action.metavar == "COMMAND" and isinstance(action.choices, dict):
                found |= action.choices
        return found

    def no_command(self, word: str) -> NoReturn:
        """Complain of a word that is none of them."""
        self.error(f"there is no command {word}{_nearest(word, self.commands_below())}")

    def _said(self, message: str) -> str:
        if not (choice := _CHOICE.fullmatch(message)):
            return message
        argument, given, choices = choice[1], choice[2].strip("'\""), choice[3]
        known = [each.strip("'\" ") for each in choices.split(",")]
        near = _nearest(given, known)
        if argument == "COMMAND":
            return f"there is no command {given}{near}"
        return f"{argument} {given} is none of {', '.join(known)}{near}"

    def _too_much(self, rest: Sequence[str]) -> str:
        option = next((word for word in rest if word.startswith("-") and word != "-"), None)
        if option is None:
            return f"one word too many: {rest[0]}"
        option = option.partition("=")[0]
        return f"there is no option {option}{_nearest(option, self._options())}"

    def _options(self) -> Iterator[str]:
        for action in self._actions:
            yield from action.option_strings


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""
