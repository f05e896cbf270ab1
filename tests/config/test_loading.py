"""Which configuration loads, from which file, to which values."""

from __future__ import annotations

import errno
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import airoxy.config as configuration
from airoxy.config import SCHEMA, ConfigError, Document, load_config, make_config, shipped_prices
from airoxy.config.document import read_document
from tests.config.conftest import Write

#: The whole of it, annotated, and what the package puts into /etc.
SHIPPED = Path(__file__).parents[2] / "etc" / "airoxy.yaml"
SHORT = SHIPPED.parent / "short" / "airoxy.yaml"


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


def test_the_packages_file_is_short_and_changes_nothing() -> None:
    assert load_config(SHORT) == make_config()
    assert len(SHORT.read_text().splitlines()) < 40


def test_each_line_of_the_packages_file_can_be_uncommented_and_is_a_default() -> None:
    text = re.sub(r"^#(?=(  )?[a-z_]+:)", "", SHORT.read_text(), flags=re.MULTILINE)
    document = read_document_of(text)
    assert document.mistakes == []
    defaults = {setting.key: setting.default for setting in SCHEMA}
    assert document.values
    assert all(value == defaults[key] for key, value in document.values.items())


def read_document_of(text: str) -> Document:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return read_document(Path(file.name))


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
    ("written", "read"),
    [
        ("[]", ()),
        ("", ()),
        ("[10.0.0.0/8, 192.0.2.7]", ("10.0.0.0/8", "192.0.2.7/32")),
        ("['2001:DB8::/32', '::1']", ("2001:db8::/32", "::1/128")),
    ],
)
def test_networks_are_listed(write: Write, written: str, read: tuple[str, ...]) -> None:
    assert load_config(write(f"metrics:\n  allow: {written}\n")).metrics.allow == read


@pytest.mark.parametrize(
    ("written", "read"), [("[]", ()), ("", ()), ("['I am.', 'So am I.']", ("I am.", "So am I."))]
)
def test_known_lines_are_listed(write: Write, written: str, read: tuple[str, ...]) -> None:
    assert load_config(write(f"oauth:\n  known_lines: {written}\n")).oauth.known_lines == read


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
    def refuse(path: Path, mode: str) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = write("")
    monkeypatch.setattr(Path, "open", refuse)  # root reads everything
    with pytest.raises(ConfigError, match=r"cannot be read: Permission denied; make it a file"):
        load_config(path)


def test_a_device_without_an_end_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match="/dev/zero: is larger than 16 MiB"):
        load_config(Path("/dev/zero"))


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


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
