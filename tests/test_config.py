"""The configuration: what loads, what is refused and in which words."""

from __future__ import annotations

import errno
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import yaml

import airoxy.config as configuration
from airoxy.config import SCHEMA, ConfigError, load_config, make_config, shipped_prices
from airoxy.config.document import read_document

SHIPPED = Path(__file__).parents[1] / "etc" / "airoxy.yaml"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "airoxy.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def complaints(write: Write) -> Callable[[str | bytes], list[str]]:
    """The mistakes in a file of this content, with F for its path."""

    def complaints(content: str | bytes) -> list[str]:
        path = write(content)
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert caught.value.exit_status == 78
        return caught.value.message.replace(str(path), "F").split("\n")

    return complaints


# -- what loads


def test_the_shipped_file_loads_to_exactly_the_defaults() -> None:
    assert load_config(SHIPPED) == make_config()


def test_the_shipped_file_has_every_setting_in_the_order_of_the_schema() -> None:
    assert list(read_document(SHIPPED).lines) == [setting.key for setting in SCHEMA]


def test_the_shipped_file_gives_a_reason_above_every_setting() -> None:
    lines = SHIPPED.read_text().splitlines()
    for key, line in read_document(SHIPPED).lines.items():
        above = lines[line - 2].strip()
        section_comment = lines[line - 3].strip()
        assert above.startswith("#") or section_comment.startswith("#"), key


def test_the_price_table_in_force_is_the_shipped_one_when_the_file_adds_nothing() -> None:
    assert load_config(SHIPPED).pricing is shipped_prices()


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "null\n", "{}\n", "\ufeff"])
def test_an_empty_file_means_the_defaults(write: Write, content: str) -> None:
    assert load_config(write(content)) == make_config()


@pytest.mark.parametrize("content", ["upstream:\n", "oauth:\n  # scope: x\n", "pricing:\n"])
def test_a_section_whose_settings_are_all_commented_out_is_at_its_defaults(
    write: Write, content: str
) -> None:
    assert load_config(write(content)) == make_config()


def test_what_the_file_does_not_mention_is_at_its_default(write: Write) -> None:
    config = load_config(write("port: 3801\nupstream:\n  read_timeout: 0.5\n"))
    assert config == make_config({"port": 3801, "upstream.read_timeout": 0.5})
    assert config.upstream.url == "https://api.anthropic.com"


def test_a_setting_knows_its_line(write: Write) -> None:
    path = write("# comment\nport: 3801\nupstream:\n  read_timeout: 5\n")
    config = load_config(path)
    assert config.origin("port") == f"{path}:2"
    assert config.origin("upstream.read_timeout") == f"{path}:4"
    assert config.origin("host") == "default"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("::1", "::1"),
        ('"::"', "::"),
        ("0.0.0.0", "0.0.0.0"),
        ("2001:0:0:0:0:0:0:1", "2001::1"),  # a number to base 60, thinks YAML
        ("null", None),
        ("", None),
    ],
)
def test_a_host_is_an_address_or_localhost(write: Write, written: str, read: str | None) -> None:
    assert load_config(write(f"host: {written}")).host == read


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        (None, ()),
        ("localhost", ("127.0.0.1", "::1")),
        ("192.0.2.7", ("192.0.2.7",)),
    ],
)
def test_the_addresses_to_listen_on_follow_from_the_host(
    host: str | None, addresses: tuple[str, ...]
) -> None:
    assert make_config({"host": host}).hosts == addresses


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://api.anthropic.com/", "https://api.anthropic.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("'https://[::1]:80/'", "https://[::1]:80"),
        ("https://gateway.example/anthropic/", "https://gateway.example/anthropic"),
    ],
)
def test_a_slash_at_the_end_of_an_url_does_not_matter(
    write: Write, written: str, read: str
) -> None:
    assert load_config(write(f"upstream: {{url: {written}}}")).upstream.url == read


def test_null_turns_the_system_line_off(write: Write) -> None:
    assert load_config(write("oauth:\n  system_line: null\n")).oauth.system_line is None


def test_an_alias_is_as_good_as_what_it_stands_for(write: Write) -> None:
    config = load_config(write("workers: &n 7\nmax_attempts: *n\n"))
    assert (config.workers, config.max_attempts) == (7, 7)


# -- which file


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    option, variable = tmp_path / "option.yaml", tmp_path / "variable.yaml"
    option.write_text("port: 1001")
    variable.write_text("port: 1002")
    environ = {"AIROXY_CONFIG": str(variable)}
    assert load_config(option, environ).port == 1001
    assert load_config(None, environ).port == 1002


def test_the_file_of_the_package_is_read_when_nothing_else_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_PATH", write("port: 1003"))
    assert load_config(None, {}).port == 1003
    assert load_config(None, {"AIROXY_CONFIG": ""}).port == 1003


def test_without_any_file_everything_is_at_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_PATH", tmp_path / "none.yaml")
    config = load_config(None, {})
    assert config == make_config()
    assert config.source is None


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path, by: str) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigError, match=re.escape(f"{path}: there is no such file")) as caught:
        load_config(
            path if by == "option" else None,
            {"AIROXY_CONFIG": str(path)} if by == "variable" else {},
        )
    assert caught.value.exit_status == 78


def test_a_file_that_may_not_be_read_is_an_error(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root reads everything
    with pytest.raises(ConfigError, match=r"cannot be read: Permission denied; make it a file"):
        load_config(write(""))


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


# -- mistakes


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(
    complaints: Callable[[str], list[str]],
) -> None:
    said = complaints(
        "prot: 3801\n"
        "workers: many\n"
        "upstream:\n"
        "  url: ftp://x\n"
        "  conect_timeout: 5\n"
        "port: 0\n"
        "port: 3801\n"
    )
    assert said == [
        "F:1: prot: there is no such setting; did you mean port?",
        "F:2: workers: many is not a whole number; give a whole number from 1 to 64",
        "F:4: upstream.url: ftp://x is not an http or https URL;"
        " give an address like https://api.anthropic.com",
        "F:5: upstream.conect_timeout: there is no such setting;"
        " did you mean upstream.connect_timeout?",
        "F:6: port: 0 is out of range; give a whole number from 1 to 65535",
        "F:7: port: stands here again, first in line 6; remove one of the two",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        # whole numbers
        ("port: 65536", "65536 is out of range; give a whole number from 1 to 65535"),
        ("port: -1", "-1 is out of range"),
        ("port: " + "9" * 5000, "is out of range"),
        ("port: 3.0", "3.0 is not a whole number"),
        ("port: '3800'", '"3800" is text, because of the quotes'),
        ("port: yes", "yes (to YAML a truth value) is not a whole number"),
        ("port: 1:30", "1:30 is not a whole number in plain digits"),
        ("port: 010000", "010000 is not a whole number in plain digits"),
        ("port: 0x50", "0x50 is not a whole number in plain digits"),
        ("port: 3_800", "3_800 is not a whole number in plain digits"),
        ("port: 2026-11-09", "2026-11-09 is not a whole number"),
        ("port:", "an empty value is not a whole number"),
        ("port: [3800]", "a list is not a whole number"),
        ("port: {a: 1}", "a mapping is not a whole number"),
        ("port: !!python/object:os.system 3", "3 is not a whole number"),
        ("workers: 0", "0 is out of range; give a whole number from 1 to 64"),
        ("token_refresh_interval: 4", "give a whole number of minutes from 5 to 1440"),
        ("log_retention_days: 0", "0 is out of range; give a whole number from 1 to 36500"),
        ("log_retention_days: 0.5", "0.5 is not a whole number"),
        ("max_attempts: 101", "101 is out of range; give a whole number from 1 to 100"),
        # seconds
        ("upstream: {read_timeout: 0}", "0 is out of range; give a number of seconds above 0"),
        ("upstream: {read_timeout: .inf}", ".inf is not a number in plain digits"),
        ("upstream: {read_timeout: .nan}", ".nan is not a number in plain digits"),
        ("upstream: {read_timeout: 1e3}", "1e3 is not a number"),
        ("upstream: {read_timeout: on}", "on (to YAML a truth value) is not a number"),
        ("upstream: {connect_timeout: 3601}", "at most 3600"),
        # host
        ("host: on", "on (to YAML a truth value) is not an address"),
        ("host: 1:30", "1:30 is not an IP address"),
        ("host: proxy.example.net", "proxy.example.net is not an IP address"),
        ("host: 010.0.0.1", "010.0.0.1 is not an IP address"),
        ("host: 'fe80::1%eth0'", '"fe80::1%eth0" is not an IP address'),
        ("host: [127.0.0.1, '::1']", "a list is not an address"),
        ('host: "127.0.0.1\\n[Socket]"', "is not an IP address"),
        ("host: 127.0.0.1:3800", "is not an IP address"),
        # choices, text, paths
        ("affinity: no", "no (to YAML a truth value) is none of the choices; give session or none"),
        ("affinity: None", "None is none of the choices"),
        ("affinity:", "an empty value is none of the choices"),
        ("oauth: {scope: 12}", "12 is not text; give a line of text"),
        ("oauth: {scope: ''}", '"" is empty'),
        ('oauth: {scope: "a\\nb"}', "has a line break or another invisible character"),
        ("database: airoxy.db", "airoxy.db does not begin with /"),
        ("database: ~/airoxy.db", "~/airoxy.db does not begin with /"),
        ("database: /var/lib/airoxy/", "/var/lib/airoxy/ is a directory"),
        ("database: 7", "7 is not text"),
        # URLs
        ("upstream: {url: api.anthropic.com}", "is not an http or https URL"),
        ("upstream: {url: 'https://'}", "is not an http or https URL"),
        ("upstream: {url: 'https://x:99999'}", "is not a URL"),
        ("upstream: {url: 'https://x:0'}", "is not an http or https URL"),
        ("upstream: {url: 'https://[::1'}", "is not a URL"),
        ("upstream: {url: 'https://x/?a=b'}", "has a query or a fragment"),
        ("upstream: {url: 'https://x/#a'}", "has a query or a fragment"),
        ("upstream: {url: 'https://x y'}", "has a character that no URL has"),
        ("upstream: {url: 'https://ä.example'}", "has a character that no URL has"),
        ("oauth: {endpoint: 3}", "give an address like https://platform.claude.com/"),
        # keys and sections
        ("upstream: 3", "3 cannot stand here; write its settings below it, indented"),
        ("upstream: [url]", "a list cannot stand here"),
        ("upstream.url: https://x", "write url: indented, below upstream:"),
        ("connect_timeout: 5", "did you mean upstream.connect_timeout?"),
        ("oauth: {url: x}", "did you mean upstream.url?"),
        ("upsteam: {}", "did you mean upstream?"),
        ("volume: 11", "remove it; airoxy.yaml(5) has all settings"),
        ("on: 1", "there is no such setting"),
        ("? [port]\n: 1", "a list is no key"),
        ("<<: {port: 1}", "there is no such setting"),
        ("- port: 3801", "is not a list of settings; write lines of KEY: VALUE"),
        ("port", "is not a list of settings"),
        ("pricing: 3", "3 is not a list"),
    ],
)
def test_a_mistake_says_where_it_is_what_is_wrong_and_what_to_do(
    complaints: Callable[[str], list[str]], content: str, words: str
) -> None:
    (line,) = complaints("# first line\n\n" + content)
    assert line.startswith("F:3: ")
    assert "; " in line
    assert words in line


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("upstream:\n\turl: x\n", 2, "begins with a tab; indent with spaces"),
        ("port: 1\n\tworkers: 2\n", 2, "begins with a tab; indent with spaces"),
        ("port: 1\nhost: ::\n", 2, "put a value with a colon in quotes"),
        ("port: 1\n workers: 2\n", 2, "begin lines of one section alike"),
        ("port: 1\nhost: *\n", 2, "is not YAML"),
        ("host: *any\n", 1, "put a value that begins with * in quotes"),
        ("port: 1\n---\nport: 2\n", 2, "remove the line that is only ---"),
        ("port: 1\nhost: 'x\n\n\n", 2, "is not YAML"),
        ("port: 1\nhost: [x\n", 3, "look at the indentation, quotes and brackets"),
        ("port: 1\nhost: @x\n", 2, "is not YAML"),
        ("port: 1\nhost: \x07\n", 2, "has an invisible control character; remove it"),
        (b"port: 1\nhost: \xe4\n", 2, "is not UTF-8"),
        ("port: 1\n".encode("utf-16"), 1, "is not UTF-8"),
    ],
)
def test_what_yaml_cannot_read_is_told_with_its_line(
    complaints: Callable[[str | bytes], list[str]], content: str | bytes, line: int, words: str
) -> None:
    (said,) = complaints(content)
    assert said.startswith(f"F:{line}: ")
    assert words in said


def test_a_file_nested_without_end_is_refused(complaints: Callable[[str], list[str]]) -> None:
    assert complaints("- " * 100_000) == ["F: is nested too deeply; two levels are all there are"]


@pytest.mark.parametrize(
    "content",
    [
        "host: sk-ant-api-test-one\n",
        "token: sk-ant-api-test-one\n",
        "upstream:\n  url: https://me:sk-ant-api-test-one@x/\n",
        "upstream:\n  url: https://me:hush@x/\n",
        "pricing:\n- sk-ant-api-test-one\n",
    ],
)
def test_no_secret_is_repeated(complaints: Callable[[str], list[str]], content: str) -> None:
    said = "\n".join(complaints(content))
    assert "test-one" not in said
    assert "hush" not in said


def test_the_file_is_never_made_into_objects_of_python(tmp_path: Path, write: Write) -> None:
    trace = tmp_path / "trace"
    path = write(f"pricing:\n- !!python/object/apply:os.mkdir ['{trace}']\n")
    with pytest.raises(ConfigError):
        load_config(path)
    assert not trace.exists()


# -- prices

ROW = "{model: claude-new-1, input: 1, write_5m: 1.25, write_1h: 2, read: 0.1, output: 5}"


def test_rows_are_laid_over_the_shipped_table(write: Write) -> None:
    config = load_config(write(f"pricing:\n- {ROW}\n"))
    assert len(config.price_rows) == 1
    day = date(2026, 11, 22)
    assert config.pricing.knows("claude-new-1", day)
    assert not shipped_prices().knows("claude-new-1", day)
    assert config.pricing.price_for("claude-opus-5", day) is not None
    assert config.pricing is config.pricing


def test_every_wrong_row_is_told_with_its_line(complaints: Callable[[str], list[str]]) -> None:
    said = complaints(f"pricing:\n- {ROW}\n- 7\n- model: claude-x\n  input: dear\n- {ROW}\n")
    assert said == [
        "F:3: pricing: a price row must be a mapping; see /usr/share/airoxy/prices.yaml",
        "F:4: pricing: price row (claude-x): input: must be a number from 0 to 100000, not 'dear';"
        " see /usr/share/airoxy/prices.yaml",
        "F:6: pricing: price row (claude-new-1): from: another row has the same name and date;"
        " see /usr/share/airoxy/prices.yaml",
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{model: a, model: b}", "model stands twice"),
        ("{model: a, from: 2026-13-45}", "pricing: "),
        ("{model: a, {}: b}", "pricing: "),
        ("{model: a, from: !!timestamp soon}", "cannot be understood"),
        ("{model: a, input: !!bool x}", "cannot be understood"),
        ("&r {model: *r}", "model: must be"),
    ],
)
def test_a_row_that_cannot_be_meant_is_told(
    complaints: Callable[[str], list[str]], row: str, words: str
) -> None:
    (said,) = complaints(f"pricing:\n- {row}\n")
    assert said.startswith("F:2: ")
    assert words in said


# -- the package's own files


def test_nothing_secret_is_asked_for_and_everybody_may_read_the_file() -> None:
    assert stat.S_IMODE(SHIPPED.stat().st_mode) & 0o444 == 0o444
    assert not any("secret" in setting.key or setting.key == "token" for setting in SCHEMA)


def test_reading_the_configuration_loads_no_price_table() -> None:
    code = (
        "import sys, pathlib, airoxy.config as c\n"
        f"c.load_config(pathlib.Path({str(SHIPPED)!r}))\n"
        "print(sorted(m for m in sys.modules if m.startswith('airoxy.core')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_python_parser_reads_as_the_c_parser_does(
    monkeypatch: pytest.MonkeyPatch, complaints: Callable[[str], list[str]]
) -> None:
    monkeypatch.setattr("airoxy.config.document.LOADER", yaml.SafeLoader)
    assert load_config(SHIPPED) == make_config()
    assert complaints("port: 1\n\thost: x\n") == ["F:2: begins with a tab; indent with spaces"]
    assert complaints("a: \x07") == ["F:1: has an invisible control character; remove it"]
