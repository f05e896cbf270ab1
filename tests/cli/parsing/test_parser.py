"""Wrong usage, help, and commands while the configuration is broken."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from airoxy.cli import build_parser, main
from airoxy.views.formats import columns, cut, padded
from tests.program import PYTHON, ROOT, Airoxy, environment


@pytest.fixture
def airoxy(install) -> Airoxy:
    """Set up, but no server runs."""
    return install()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tokn", "airoxy: there is no command tokn; did you mean token?"),
        ("token ad", "airoxy token: there is no command ad; did you mean add?"),
        ("token list --jsn", "airoxy token list: there is no option --jsn; did you mean --json?"),
        ("stats --by dya", "airoxy stats: --by dya is none of "),
        ("logs --limit many", "airoxy logs: argument -n/--limit: a number from 1 on."),
        ("config check one two", "airoxy config check: one word too many: two."),
        ("token:lst", "airoxy token: there is no command lst; did you mean list?"),
        ("help tokn", "airoxy: there is no command tokn; did you mean token?"),
        ("stats --since=--", "airoxy stats: argument --since: invalid value: '--'."),
        ("token set", "airoxy token set: the following arguments are required: ID."),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_word_and_the_right_command(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(said)
    assert printed.count("\n") == 1
    command = said.partition(":")[0]
    assert printed.endswith(f" See `{command} --help`.\n")


def test_two_dashes_end_the_options_with_and_without_words_behind_them() -> None:
    assert build_parser().parse_args(["logs", "-n", "7", "--"]).limit == 7
    assert build_parser().parse_args(["api-key", "show", "--", "-laptop"]).id == "-laptop"


@pytest.mark.parametrize("secret", ["sk-ant-api03-secret", "ak-" + "Secret0123" * 4])
def test_wrong_usage_repeats_no_secret(capsys: pytest.CaptureFixture[str], secret: str) -> None:
    for words in (["token", "add", "a", "b", "c", secret], [secret], ["logs", f"--key={secret}x",
                  f"--{secret}"], ["stats", "--by", secret]):  # fmt: skip
        with pytest.raises(SystemExit):
            main(words)
    assert secret[8:] not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "usage: airoxy [-h]"),
        ("help", "usage: airoxy [-h]"),
        ("token", "usage: airoxy token [-h]"),
        ("help token", "usage: airoxy token [-h]"),
        ("help token add", "usage: airoxy token add [-h]"),
        ("help token:add", "usage: airoxy token add [-h]"),
        ("version", "airoxy 1."),
    ],
)
def test_help_is_there_without_options(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr().out.startswith(said)


def test_a_reader_that_leaves_is_no_trouble() -> None:
    command = f"{PYTHON} -m airoxy help | true"
    done = subprocess.run(["bash", "-c", f"for i in 1 2 3; do {command}; done"], cwd=ROOT,
                          env=environment(), capture_output=True, text=True)  # fmt: skip
    assert done.stderr == ""


BROKEN = ["port: many\n", "prot: 3800\n", "workers: 1\nworkers: 2\n", "port: [1\n", "\tport: 1\n"]


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_key_can_be_disabled_while_the_configuration_is_broken(
    airoxy: Airoxy, mistake: str
) -> None:
    airoxy.key("leaked")
    airoxy.config.write_text(f"database: {airoxy.database}\n{mistake}")
    done = airoxy.run("api-key", "disable", "leaked")
    assert (done.returncode, done.stdout) == (0, "Key 1 (leaked) is disabled now.\n")
    assert done.stderr == (
        "airoxy: The configuration has mistakes; `airoxy config check` lists them.\n"
    )
    assert airoxy.run("config", "check").returncode == 78


def test_a_key_can_be_made_then_where_the_default_limits_are_certain(airoxy: Airoxy) -> None:
    text = f"database: {airoxy.database}\nprot: 1\ndefaults: {{limits: {{spend_per_day: %s}}}}\n"
    airoxy.config.write_text(text % "5")
    assert airoxy.run("api-key", "add", "laptop").returncode == 0
    assert airoxy.json("api-key", "show", "laptop")["spend_per_day_nanousd"] == 5 * 10**9
    for wrong in (text % "much", text % "[", f"{text % 5}\tport: 1\n"):
        airoxy.config.write_text(wrong)
        assert airoxy.run("api-key", "add", "desk").returncode == 78


@pytest.mark.parametrize(
    "text", ["database: 5\n", "database: [\n", "database: relative\n\tport: 1\n", "port: [1\n"]
)
def test_a_database_that_nobody_can_tell_is_not_guessed(airoxy: Airoxy, text: str) -> None:
    airoxy.config.write_text(text)
    done = airoxy.run("api-key", "list")
    assert done.returncode == 78
    assert not Path("/var/lib/airoxy/airoxy.db").exists()


def test_wide_letters_align() -> None:
    assert [columns(text) for text in ("abc", "日本", "é", "e\u0301", "👍", "")] == [
        3,
        4,
        1,
        1,
        2,
        0,
    ]
    assert padded("日本", 6) == "日本  "
    assert padded("日本", 6, right=True) == "  日本"
    assert cut("日本語です", 6) == "日本…"
    assert cut("abcdef", 6) == "abcdef"
    assert columns(cut("日" * 50, 11)) <= 11
    assert cut("a\x1b[31mb", 9) == "a?[31mb"


def test_columns_of_tables_align_whatever_the_names(airoxy: Airoxy) -> None:
    for name in ("日本語", "née", "e\u0301t", "👩\u200d💻 desk", "plain"):
        airoxy.key(name)
    airoxy.cli("api-key", "add", "👩\u200d💻")
    head, *rows = airoxy.cli("api-key", "list").splitlines()
    place = columns(head[: head.index("KEY")])
    for row in rows:
        assert columns(row[: row.index("ak-")]) == place


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ("version >&-", 0, ""),
        ("version 2>&-", 0, ""),
        ("version >/dev/full", 1, "The output cannot be written: No space left on device."
         " Changes that it made are kept.\n"),
        ("api-key disable $'\\xff'", 2, "A word of the command line is not in UTF-8.\n"),
        ("backup /" + "a" * 300, 1, "/" + "a" * 300 + ": File name too long.\n"),
        ("api-key show $'\\e[31m\\n\\u202e'", 1,
         "There is no key ?[31m??; `airoxy api-key list` shows them.\n"),
        (f"api-key show {'ak-' + 'Abc0' * 10}", 1,
         "There is no key ak-…; `airoxy api-key list` shows them.\n"),
        (f"apply - <<< 'keys: {{{'ak-' + 'Abc0' * 10}: {{}}}}'", 78,
         "/dev/stdin:1: keys.ak-…: this is a secret and not a name, which everybody sees\n"),
        ("config check $'/\\e[31m'", 78, "/?[31m: there is no such file; name one that exists\n"),
        ("token add <&-", 2, "Give the token on standard input, and its refresh token after it.\n"),
    ],
)  # fmt: skip
def test_odd_streams_and_bytes_leave_no_traceback(
    airoxy: Airoxy, typed: str, status: int, said: str
) -> None:
    command = f"{PYTHON} -m airoxy --config {airoxy.config} {typed}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment(), text=True,
                          capture_output=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (status, said and f"airoxy: {said}")


def test_a_terminal_without_the_letters_of_a_name_shows_it_all_the_same(airoxy: Airoxy) -> None:
    airoxy.key("日本")
    command = [PYTHON, "-m", "airoxy", "--config", str(airoxy.config), "api-key", "list"]
    done = subprocess.run(command, cwd=ROOT, env={**environment(), "PYTHONIOENCODING": "latin-1"},
                          capture_output=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u65e5\u672c" in done.stdout


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_ends_no_line_within_a_word_that_is_typed_and_has_no_line_too_long_to_read(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for command in ("fleet join", "api-key add", "stats"):
        parser = build_parser()
        for word in command.split():
            parser = parser.commands_below()[word]
        lines = parser.format_help().splitlines()
        assert max(map(len, lines)) <= min(columns, 100)
        assert not [line for line in lines if line.endswith("-")]
