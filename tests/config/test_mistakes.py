"""What is refused, and in which words: file, line, key, what is wrong, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from airoxy.config import ConfigError, load_config, make_config
from tests.config.conftest import Complaints, Write


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(
    complaints: Complaints,
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
    ("content", "later"),
    [
        ("port: 1\nport: many", "F:2: port: many is not a whole number"),
        ("upstream:\n  url: http://x\nupstream:\n  rul: y", "F:4: upstream.rul: there is no such"),
        ("upstream:\n  url: http://x\nupstream: 5", "F:3: upstream: 5 cannot stand here"),
        ("prot: 1\nprot: 2\nport: many", "F:3: port: many is not a whole number"),
    ],
)
def test_a_doubled_key_hides_no_other_mistake(
    complaints: Complaints, content: str, later: str
) -> None:
    said = complaints(content)
    assert any("stands here again" in line for line in said)
    assert any(line.startswith(later) for line in said)


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
        # time zones
        (
            "timezone: Europe/Berlni",
            "is no time zone that is installed (did you mean Europe/Berlin?)",
        ),
        (
            "timezone: europe/berlin",
            "(did you mean Europe/Berlin?); old names are in tzdata-legacy",
        ),
        ("timezone: Europe", "Europe is no time zone that is installed"),
        ("timezone: ../../etc/passwd", "is no time zone that is installed"),
        ("timezone: /etc/localtime", "is no time zone that is installed"),
        ("timezone: 2", "2 is not text; give a name like Europe/Berlin"),
        ("timezone:", "an empty value is not text"),
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
        ("upstream: {proxy: 'https://p.example:3128'}", "is not an http URL"),
        ("upstream: {proxy: 'http://u:test@p.example:3128'}", "has a user name or password in it"),
        ("upstream: {proxy: 'http://p.example:3128/x'}", "has a path"),
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
        ("oauth: {known_lines: I am}", "I am is not a list; give a list of lines of text"),
        ("oauth: {known_lines: ['']}", 'has "" in it, which is empty'),
        ("oauth: {known_lines: [[a]]}", "has a list in it, which is not text"),
        # networks
        ("metrics: {allow: 10.0.0.0/8}", "10.0.0.0/8 is not a list; give a list of networks"),
        ("metrics: {allow: [10.0.0.1/8]}", "10.0.0.1/8 in it, which is an address in 10.0.0.0/8"),
        ("metrics: {allow: [localhost]}", "has localhost in it, which is not a network"),
        ("metrics: {allow: [10.0.0.0/33]}", "has 10.0.0.0/33 in it, which is not a network"),
        ("metrics: {allow: [10]}", "has 10 in it, which is not a network"),
        ("metrics: {allow: [[a]]}", "has a list in it, which is not a network"),
        ("metrics: {allow: [fe80::1%eth0]}", "has fe80::1%eth0 in it, which is not a network"),
        ("metrics: {alow: []}", "did you mean metrics.allow?"),
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
    complaints: Complaints, content: str, words: str
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
    complaints: Complaints, content: str | bytes, line: int, words: str
) -> None:
    (said,) = complaints(content)
    assert said.startswith(f"F:{line}: ")
    assert words in said


def test_what_is_not_yaml_hides_no_other_mistake(complaints: Complaints) -> None:
    said = complaints(
        "prot: 1\nhost: [x\nworkers: many\nupstream:\n\turl: x\nport: 0\nworkers: 2\n"
        "tls: {key: /x\n"
    )
    assert [line.split(": ")[0] for line in said] == ["F:3", "F:5", "F:9"] + [
        f"F:{number}" for number in (1, 3, 6, 7)
    ]
    assert all("; " in line or "did you mean" in line for line in said)


def test_a_file_without_a_line_that_begins_a_setting_has_its_mistake(
    complaints: Complaints,
) -> None:
    (said,) = complaints('{"port": 1, "host": {')
    assert "F:" in said


@pytest.mark.parametrize(
    "content",
    ["- " * 100_000, "[" * 900, "{a: " * 5000, f"pricing: {'[' * 30}{']' * 30}\nport: x\n"],
)
def test_a_file_nested_without_end_is_refused(complaints: Complaints, content: str) -> None:
    assert complaints(content) == ["F: is nested too deeply; two levels are all there are"]


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
def test_no_secret_is_repeated(complaints: Complaints, content: str) -> None:
    said = "\n".join(complaints(content))
    assert "test-one" not in said
    assert "hush" not in said


def test_the_file_is_never_made_into_objects_of_python(tmp_path: Path, write: Write) -> None:
    trace = tmp_path / "trace"
    path = write(f"pricing:\n- !!python/object/apply:os.mkdir ['{trace}']\n")
    with pytest.raises(ConfigError):
        load_config(path)
    assert not trace.exists()


def test_the_python_parser_reads_as_the_c_parser_does(
    monkeypatch: pytest.MonkeyPatch, write: Write, complaints: Complaints
) -> None:
    monkeypatch.setattr("airoxy.config.document.LOADER", yaml.SafeLoader)
    assert load_config(write("port: 3801")) == make_config({"port": 3801})
    assert complaints("port: 1\n\thost: x\n") == ["F:2: begins with a tab; indent with spaces"]
    assert complaints("a: \x07") == ["F:1: has an invisible control character; remove it"]


@pytest.mark.parametrize(
    "written", ["htps://hooks.example/T0/secret", "secret", "https://:0/secret"]
)
def test_a_webhook_that_is_wrong_is_not_repeated(complaints: Complaints, written: str) -> None:
    (said,) = complaints(f"notify:\n  webhook: {written}\n")
    assert said.startswith("F:2: notify.webhook: what is written is neither an https address")
    assert "secret" not in said
