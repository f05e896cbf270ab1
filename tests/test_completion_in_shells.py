"""The completion in the shells themselves: what becomes of a line when somebody presses Tab."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.program import ROOT, Airoxy, need

COMPLETION = ROOT / "etc" / "completion"
KINDS = ("keys", "groups", "tokens", "models", "months", "users", "api-tokens")

#: What is typed before Tab, and what is in the line behind it; {m} is this month, {d} a directory
#: in which there is a file `my keys.yaml`.
LINES = {
    "airoxy tok": "airoxy token",
    "airoxy token sho": "airoxy token show",
    "airoxy api-key set lap": "airoxy api-key set laptop",
    "airoxy api-key show team@": "airoxy api-key show team@b",
    "airoxy token remove wor": "airoxy token remove work",
    "airoxy token check wor": "airoxy token check work",
    "airoxy group show dat": "airoxy group show data",
    "airoxy logs --key lap": "airoxy logs --key laptop",
    "airoxy logs --key=lap": "airoxy logs --key=laptop",
    "airoxy stats --month {m}": "airoxy stats --month {m}",
    "airoxy stats --by toke": "airoxy stats --by token",
    "airoxy restore --dri": "airoxy restore --drill",
    "airoxy api-key set laptop --group dat": "airoxy api-key set laptop --group data",
    "airoxy api-key add --models claude-haiku-5": "airoxy api-key add --models claude-haiku-5-5",
    "airoxy api-key set --models a,claude-opus-5-": "airoxy api-key set --models a,claude-opus-5-5",
    "airoxy api-key add --models=a,claude-opus-5-": "airoxy api-key add --models=a,claude-opus-5-5",
    "airoxy --config x.yaml token sho": "airoxy --config x.yaml token show",
    "airoxy token:show wor": "airoxy token:show work",
    "airoxy help token rot": "airoxy help token rotate-key",
    "sudo airoxy token sho": "sudo airoxy token show",
    "airoxy apply {d}/m": "airoxy apply {d}/my keys.yaml",
    "airoxy --config {d}/m": "airoxy --config {d}/my keys.yaml",
    "airoxy token add --name wor": "airoxy token add --name wor",
    "airoxy console user link mar": "airoxy console user link maria",
    "airoxy console token remove gra": "airoxy console token remove grafana",
    "airoxy console user add mar": "airoxy console user add mar",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH with a sudo, and an airoxy that offers what the real one has offered."""
    directory = tmp_path_factory.mktemp("completion")
    airoxy = Airoxy(directory / "airoxy", "http://127.0.0.1:9")
    for name in ("laptop", "two words", "team@b"):
        airoxy.key(name)
    airoxy.token("sk-ant-api-test-one", name="work")
    airoxy.cli("group", "add", "data")
    airoxy.cli("console", "user", "add", "maria")
    airoxy.cli("console", "token", "add", "grafana")
    (directory / "bin").mkdir()
    for kind in KINDS:
        (directory / "bin" / kind).write_text(airoxy.cli("complete", kind))
    files = {"airoxy": f'[ "$1" = complete ] && cat {directory}/bin/"$2"', "sudo": 'exec "$@"'}
    for name, script in files.items():
        (directory / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / "bin" / name).chmod(0o755)
    (directory / "my keys.yaml").touch()
    return directory


class Shell:
    """An interactive shell on a terminal."""

    def __init__(self, words: list[str], start: str, place: Path) -> None:
        path = f"{place}/bin:{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "TERM": "dumb", "HOME": str(place), "COLUMNS": "500"}
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.execvpe(words[0], words, environ)  # pragma: no cover - of the child
        self._seen = ""
        self.type(f"{start}; stty -echo cols 500; PS1=; echo REA''DY\n", "READY")

    def type(self, text: str, until: str) -> str:
        """What is on the screen then, up to these words."""
        os.write(self._terminal, text.encode())
        deadline = time.monotonic() + 60
        while until not in self._seen:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._terminal], [], [], left)[0], f"only {self._seen!r}"
            self._seen += os.read(self._terminal, 65536).decode()
        found, _, self._seen = self._seen.partition(until)
        return found

    def completed(self, line: str) -> str:
        """What the line is after Tab: it is printed, a word in each pair of brackets."""
        shown = self.type(f"{line}\t\x01printf '[%s]' \x05; echo DO''NE\n", "DONE")
        words = shown[shown.rindex("[airoxy]" if line.startswith("airoxy") else "[sudo]") :]
        return " ".join(words.strip("[]").split("]["))

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


Complete = Callable[[str], str]


def bash(place: Path) -> Shell:
    start = (
        ". /usr/share/bash-completion/bash_completion"
        f"; . {COMPLETION}/bash/airoxy; bind 'set enable-bracketed-paste off'"
    )
    return Shell([need("bash"), "--norc", "--noprofile", "-i"], start, place)


def zsh(place: Path) -> Shell:
    start = (
        f"fpath=({COMPLETION}/zsh $fpath); autoload -U compinit; compinit -u -D; bindkey -e;"
        " unsetopt prompt_sp beep zle_bracketed_paste; zle_bracketed_paste=()"
    )
    return Shell([need("zsh"), "-f", "-i"], start, place)


@pytest.fixture(scope="module", params=[bash, zsh], ids=["bash", "zsh"])
def shell(place: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    if request.param is bash and not Path("/usr/share/bash-completion").exists():
        pytest.skip("bash-completion is not installed")
    shell = request.param(place)
    yield shell
    shell.close()


def filled(text: str, place: Path) -> str:
    month = (place / "bin" / "months").read_text().split()[0]
    return text.replace("{m}", month).replace("{d}", str(place))


@pytest.mark.parametrize("line", LINES)
def test_tab_completes_the_line(shell: Shell, place: Path, line: str) -> None:
    assert shell.completed(filled(line, place)) == filled(LINES[line], place)


@pytest.mark.parametrize("line", LINES)
def test_fish_offers_what_completes_the_line(place: Path, line: str) -> None:
    """`complete -C` is what Tab asks fish for; it prints a word and its description."""
    program = need("fish")
    typed = filled(line, place)
    script = f"source {COMPLETION}/fish/airoxy.fish; complete -C $argv[1]"
    environ = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "HOME": str(place)}
    done = subprocess.run([program, "-c", script, typed], env=environ, check=True, text=True,
                          capture_output=True)  # fmt: skip
    wanted = filled(LINES[line], place)
    offered = {found.partition("\t")[0] for found in done.stdout.splitlines()}
    before = typed.rpartition(" ")[0]
    if typed == wanted and not offered:
        return  # nothing is to be offered
    assert wanted.removeprefix(before).strip() in offered


def test_what_has_a_blank_is_offered_by_its_id(place: Path) -> None:
    assert (place / "bin" / "keys").read_text().split() == ["laptop", "2", "team@b"]
