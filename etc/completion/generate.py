"""Writes the completions for bash, fish and zsh beside this file, from the command's own parser.

usage: python3 etc/completion/generate.py [DIRECTORY]
"""

# ruff: noqa: INP001, SLF001 - a script; and argparse has no public way to walk a parser

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from airoxy.cli import build_parser  # noqa: E402 - of this tree, not the one installed

HEAD = "# Completion of airoxy(1). Written by etc/completion/generate.py; do not edit.\n"
#: Metavars of options whose value is a file's name.
FILES = ("FILE", "FILE.deb")
#: What `airoxy complete` offers as the value of an option.
KINDS = {"--key": "keys", "--group": "groups", "--token": "tokens", "--models": "models",
         "--model": "models", "--month": "months"}  # fmt: skip
#: Options whose value is a list with commas.
LISTS = ("--models",)
#: And as the id or name that follows a command of these groups.
GROUPS = {"api-key": "keys", "group": "groups", "token": "tokens",
          "console user": "users", "console token": "api-tokens"}  # fmt: skip


@dataclass(frozen=True)
class Level:
    """What may come after these words of a command."""

    words: str
    commands: dict[str, str]
    options: list[argparse.Action]
    positionals: list[argparse.Action]

    @property
    def kind(self) -> str | None:
        """What `airoxy complete` offers here."""
        group, _, command = self.words.rpartition(" ")
        asks = any(action.dest in ("id", "name") for action in self.positionals)
        return GROUPS.get(group) if asks and command != "add" else None

    @property
    def takes_file(self) -> bool:
        return any(map(_takes_file, self.positionals))

    @property
    def spellings(self) -> list[str]:
        return [word for option in self.options for word in _long(option)]


def levels(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Level]:
    """The parser's tree, from the root down."""
    inner, told = {}, {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner = dict(action.choices)
            told = {each.dest: each.help or "" for each in action._choices_actions}
    options = [action for action in parser._actions if action.option_strings]
    others = [action for action in parser._actions if not action.option_strings]
    yield Level(" ".join(words), told, options, others)
    for name in told:
        yield from levels(inner[name], (*words, name))


def _long(option: argparse.Action) -> list[str]:
    return [word for word in option.option_strings if word.startswith("--")]


def _help(option: argparse.Action) -> str:
    return (option.help or "") % {**vars(option), "prog": "airoxy"}


def _offered(option: argparse.Action) -> str | None:
    """What `airoxy complete` offers as the option's value."""
    return next((KINDS[word] for word in _long(option) if word in KINDS), None)


def _asked(kind: str) -> str:
    return f"$(airoxy complete {kind} 2>/dev/null)"


def _takes_file(option: argparse.Action) -> bool:
    return option.metavar in FILES


def _valued(tree: list[Level]) -> dict[str, argparse.Action]:
    """Every option that is followed by a value, by its spelling."""
    every = [option for level in tree for option in level.options if option.nargs != 0]
    return {word: option for option in every for word in _long(option)}


def _commands(tree: list[Level]) -> list[str]:
    return [level.words for level in tree if level.words]


def bash(tree: list[Level]) -> str:
    """One function that finds the command typed so far, and what may follow it."""
    known = " | \\\n            ".join(f'"{words}"' for words in _commands(tree))
    files, plain, chosen = [], [], []
    for word, option in _valued(tree).items():
        if option.choices:
            chosen.append(f'        {word}) follow="{" ".join(map(str, option.choices))}" ;;')
        elif kind := _offered(option):
            chosen.append(f'        {word}) follow="{_asked(kind)}"{_bash_list(word)} ;;')
        else:
            (files if _takes_file(option) else plain).append(word)
    values = [f"        {' | '.join(files)}) {_BASH_FILES} ;;"]
    values += [f"        {' | '.join(plain)}) return ;;", *chosen]
    follow = []
    for level in tree:
        words = [*level.commands, *level.spellings, *([_asked(level.kind)] if level.kind else [])]
        name = f"; [[ $word == -* ]] || {{ {_BASH_FILES}; }}" if level.takes_file else ""
        follow.append(f'            "{level.words}") follow="{" ".join(words)}"{name} ;;')
    return f"""{HEAD}# shellcheck shell=bash

_airoxy() {{
    # Not COMP_WORDS, in which --key=laptop and token:add are three words.
    local line=${{COMP_LINE:0:COMP_POINT}} typed word option next breaks
    local lead="" command="" follow=""
    read -ra typed <<<"$line"
    [[ $line == *[[:space:]] ]] && typed+=("")
    word=${{typed[-1]}} option=${{typed[-2]}}
    for next in "${{typed[@]:1:${{#typed[@]}}-2}}"; do
        next="${{command:+$command }}${{next/:/ }}"
        case $next in
            {known})
                command=$next ;;
        esac
        [[ $command != help ]] || command=""
    done
    if [[ $word == --*=* ]]; then
        option=${{word%%=*}} lead=${{word%%=*}}=
    elif [[ -z $command && $word == *:* ]]; then
        command=${{word%%:*}} lead=${{word%%:*}}:
    fi
    word=${{word#"$lead"}}
    COMPREPLY=()
    case $option in
{chr(10).join(values)}
        *)
            case $command in
{chr(10).join("    " + line for line in follow)}
            esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -P "$lead" -W "$follow" -- "$word")
    # Of a word with such a letter readline puts in what is behind it.
    breaks=${{COMP_WORDBREAKS//[^=:@]/}} word=$lead$word
    [[ -z $breaks ]] || COMPREPLY=("${{COMPREPLY[@]#"${{word%"${{word##*["$breaks"]}}"}}"}}")
}}
complete -F _airoxy airoxy
"""


#: Leaves it to readline, which knows about directories, blanks and ~.
_BASH_FILES = "compopt -o default; return"


def _bash_list(option: str) -> str:
    """Completes the last one of several with commas between them."""
    if option not in LISTS:
        return ""
    return "; [[ $word != *,* ]] || { lead+=${word%,*}, word=${word##*,}; }"


def fish(tree: list[Level]) -> str:
    """One line for each word, with the condition under which it is offered."""
    known = [f'    set --append known "{words}"' for words in _commands(tree)]
    lines = [
        HEAD,
        "function __airoxy_at --description 'Whether this is the command typed so far'",
        "    set --local known",
        *known,
        "    set --local command",
        "    set --local typed (commandline --tokenize --cut-at-cursor --current-process)",
        "    for word in (string replace ':' ' ' -- $typed[2..])",
        '        contains -- (string trim "$command $word") $known; and set --append command $word',
        '        test "$command" = help; and set command',
        "    end",
        '    test "$command" = "$argv"',
        "end",
        "",
        "function __airoxy_list --description 'The words, behind those of a list with commas'",
        "    set --local typed (commandline --current-token --cut-at-cursor)",
        "    set typed (string replace --regex '^--[a-z-]+=' '' -- $typed)",
        "    string replace --regex '^' -- (string replace --regex '[^,]*$' '' -- $typed) $argv",
        "end",
        "",
        "complete --command airoxy --no-files",
    ]
    for level in tree:
        here = f"complete --command airoxy --condition '__airoxy_at {level.words}'"
        for name, told in level.commands.items():
            lines.append(f"{here} --arguments {name} --description {_quoted(told)}")
        if level.kind:
            lines.append(f"{here} --arguments '{_fish_asked(level.kind)}'")
        if level.takes_file:
            lines.append(f"{here} --force-files")
        for option in level.options:
            lines += [f"{here} {_fish_option(option, word)}" for word in _long(option)]
    return "\n".join(lines) + "\n"


def _fish_asked(kind: str, option: str = "") -> str:
    asked = f"(airoxy complete {kind} 2>/dev/null)"
    return f"(__airoxy_list {asked})" if option in LISTS else asked


def _fish_option(option: argparse.Action, word: str) -> str:
    value = ""
    if option.nargs != 0:
        value = " --require-parameter"
        if option.choices:
            value += f" --arguments {_quoted(' '.join(map(str, option.choices)))}"
        elif kind := _offered(option):
            value += f" --arguments '{_fish_asked(kind, word)}'"
        elif _takes_file(option):
            value += " --force-files"
    return f"--long-option {word[2:]}{value} --description {_quoted(_help(option))}"


def zsh(tree: list[Level]) -> str:
    """One function; the values of options come first, then the words of each level."""
    known = " | \\\n             ".join(f"'{words}'" for words in _commands(tree))
    values = []
    for word, option in _valued(tree).items():
        if option.choices:
            act = f"compadd -- {' '.join(map(str, option.choices))}"
        elif kind := _offered(option):
            before = "compset -P '*,'; " if word in LISTS else ""
            act = f'{before}compadd -- ${{(f)"{_asked(kind)}"}}'
        else:
            act = "_files" if _takes_file(option) else "_message value"
        values.append(f"        {word}) {act}; return ;;")
    cases = []
    for level in tree:
        offered = [f"{name}:{told}" for name, told in level.commands.items()]
        offered += [f"{w}:{_help(option)}" for option in level.options for w in _long(option)]
        listed = "\n".join(f"                {_quoted(each)}" for each in offered)
        also = f'\n            compadd -- ${{(f)"{_asked(level.kind)}"}}' if level.kind else ""
        also += "\n            _files" if level.takes_file else ""
        cases.append(
            f"        '{level.words}')\n            follow=(\n{listed}\n            ){also} ;;"
        )
    return f"""#compdef airoxy
{HEAD}
_airoxy() {{
    local command='' next option=$words[CURRENT-1]
    local -a follow
    for next in "${{(@)words[2,CURRENT-1]}}"; do
        next="${{command:+$command }}${{next/:/ }}"
        case $next in
            ({known}) command=$next ;;
        esac
        [[ $command != help ]] || command=''
    done
    if [[ $PREFIX == --*=* ]]; then
        option=${{PREFIX%%=*}}
        compset -P 1 '*='
    elif [[ -z $command && $PREFIX == *:* ]]; then
        command=${{PREFIX%%:*}}
        compset -P 1 '*:'
    fi
    case $option in
{chr(10).join(values)}
    esac
    case $command in
{chr(10).join(cases)}
    esac
    _describe airoxy follow
}}

_airoxy "$@"
"""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "’") + "'"


#: Where the package takes them from.
PLACES = {"bash/airoxy": bash, "fish/airoxy.fish": fish, "zsh/_airoxy": zsh}


def write(directory: Path) -> None:
    """Make all three anew below `directory`."""
    tree = list(levels(build_parser()))
    for place, make in PLACES.items():
        file = directory / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make(tree), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
