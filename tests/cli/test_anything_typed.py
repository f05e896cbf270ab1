"""Whatever is typed, airoxy answers with a line and a status, and never with a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airoxy.cli import build_parser, main
from airoxy.cli.parsing.parser import Parser
from airoxy.store.tokens import add_token
from tests.databases import open_new
from tests.store.seed import add_key, append, row

#: They go on until they are stopped, ask other machines, or do to this one what they are told.
LEFT_OUT = (
    "backup", "console", "doctor", "fleet", "job", "notify", "reload", "restart", "restore",
    "serve", "start", "status", "stop", "token auto", "token rotate-key", "top", "uninstall",
    "update",
)  # fmt: skip
OPTIONS_LEFT_OUT = ("--config", "--follow", "-f", "--secrets-to", "--watch")
WORDS = (
    "", "-", "--", "0", "-1", "1", "2", "3.5", "-0", "1e999", "nan", "inf", "0x10", "1_000", "٣",
    "9" * 19, "9" * 400, "1." + "0" * 400 + "1", "½", "$5", "5%", "none", "all", "*", "[", "日本",
    "e\u0301", "👩\u200d💻", "\udcff", "a\nb", "'", '"', "%s", "%(prog)s", "{}", "now", "0s", "-5m",
    "999999999w", "2026-13", "2026-11-31", "0001-01-01", "9999-12-31", "9999-12", "0000-00",
    "10000-01", "2026-11-22T25:00", "2026-11-22T12:00+99:00", "2026-W53", "/", "/dev/null", "::/0",
    "127.0.0.1/33", ",", ",,a", "sk-ant-api-test-of-fuzz", "sk-ant-oat-test", "ak-", "\x1b[31m",
)  # fmt: skip
#: Half of them make sense, or nothing odd would come as far as the database.
GOOD = ("laptop", "work", "1", "2026-11", "30d", "10", "claude-haiku-*", "day", "--json", "--yes")
word = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from(WORDS),
    st.text(max_size=8).map(lambda text: text.replace("\0", "")),
)


def leaves(parser: Parser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parser]]:
    yield words, parser
    for name, below in parser.commands_below().items():
        yield from leaves(below, (*words, name))


COMMANDS = {
    words: [
        name
        for action in parser._actions
        for name in action.option_strings
        if name not in OPTIONS_LEFT_OUT
    ]
    for words, parser in leaves(build_parser())
    if not any(f"{' '.join(words)} ".startswith(f"{each} ") for each in LEFT_OUT)
}


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command, and options and words behind it that may make sense or not."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    names = st.sampled_from(COMMANDS[command] or ["--help"])
    option = st.one_of(
        st.tuples(names, word),
        st.tuples(names),
        st.builds("{}={}".format, names, word).map(lambda x: (x,)),
    )
    rest = draw(st.lists(st.one_of(option, st.tuples(word)), max_size=4))
    return [*command, *(each for part in rest for each in part)]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("typed")
    with closing(open_new(directory / "airoxy.db")) as db:
        add_key(db, "laptop")
        append(db, row())
        add_token(db, name="work", type="api_key", token="sk-ant-api-test-one", refresh_token=None,
                  expires_at=None, now=0)  # fmt: skip
    config = directory / "airoxy.yaml"
    config.write_text(f"database: {directory}/airoxy.db\nupstream: {{url: 'http://127.0.0.1:9'}}\n")
    return config


def typed(config: Path, line: list[str]) -> tuple[int, str, str]:
    """The exit status, and what was printed, which must be possible to print."""
    names = ("stdin", "stdout", "stderr")
    before = [getattr(sys, name) for name in names]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in
                ("strict", "backslashreplace"))  # fmt: skip
    directory = os.getcwd()
    os.chdir(config.parent)
    try:
        for name, file in zip(names, (io.StringIO(), out, err), strict=True):
            setattr(sys, name, file)
        status = main(["--config", str(config), *line])
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        for name, file in zip(names, before, strict=True):
            setattr(sys, name, file)
        os.chdir(directory)
    for file in (out, err):
        file.flush()
    return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(line=lines())
def test_whatever_is_typed_has_a_status_and_no_traceback(config: Path, line: list[str]) -> None:
    status, _, err = typed(config, line)
    assert status in (0, 1, 2, 78)
    if status == 2:
        assert err.startswith("airoxy")
        assert err.endswith("\n")
