"""The first token and the first key, as a person is asked for them."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from airoxy.cli import build_parser
from airoxy.cli.command import Context
from airoxy.config import make_config
from airoxy.errors import AiroxyError
from airoxy.store import keys, tokens
from airoxy.views import paste
from tests.cli.terminal import Screen, Typed
from tests.conftest import NOON, Clock
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

KEY = "sk-ant-api-test-one-0001"


class Person:
    """Types these lines, and these secrets where nothing is shown."""

    def __init__(self, db: apsw.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self._typed = Typed(Path(db.filename), clock)
        self._clock = clock
        self._secrets: list[str] = []
        monkeypatch.setattr("getpass.getpass", lambda _: self._secrets.pop(0))

    def setup(self, *lines: str, secrets: tuple[str, ...] = (), upstream: str = "") -> str:
        self._secrets = list(secrets)
        settings = f'"upstream": {{"url": "{upstream or "http://127.0.0.1:9"}"}}'
        database = self._typed.config.read_text().rstrip("}")
        self._typed.config.write_text(f"{database}, {settings}}}")
        out, err = Screen(), Screen()
        context = Context(self._typed.config, environ={}, out=out, err=err, clock=self._clock)
        context.input = Screen(terminal=True)
        context.input.write("".join(f"{line}\n" for line in lines))
        context.input.seek(0)
        arguments = build_parser().parse_args(["setup"])
        try:
            arguments.run(context, arguments)
        finally:
            context.database.close()
        return out.getvalue() + err.getvalue()


@pytest.fixture
def person(db: apsw.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(db, clock, monkeypatch)


def test_token_and_key_are_asked_for_and_the_rest_is_to_be_pasted(
    person: Person, db: apsw.Connection, upstream: FakeAnthropic
) -> None:
    told = person.setup("phone", secrets=(KEY,), upstream=upstream.url)
    assert [row["name"] for row in tokens.list_tokens(db, NOON)] == ["console"]
    assert [row["name"] for row in keys.list_keys(db)] == ["phone"]
    assert "Anthropic accepts it" in told
    (key,) = set(re.findall(r"ak-\w{40}", told))
    for line in (f"export ANTHROPIC_AUTH_TOKEN={key}", f"export ANTHROPIC_API_KEY={key}", "curl "):
        assert line in told
    assert KEY not in told


def test_what_is_there_is_left_as_it_is(person: Person, db: apsw.Connection) -> None:
    tokens.add_token(db, name="mine", type="api_key", token=KEY, refresh_token=None,
                     expires_at=None, now=NOON)  # fmt: skip
    keys.add_key(db, "laptop", "ak-test", NOON)
    told = person.setup()
    assert "✓ 1 token in the pool: mine" in told
    assert "✓ 1 client key: laptop" in told
    assert "export" not in told
    assert len(keys.list_keys(db)) == 1


def test_a_wrong_token_may_be_typed_again(person: Person, db: apsw.Connection) -> None:
    told = person.setup("", secrets=("nonsense", KEY))
    assert "✗ An Anthropic access token begins with sk-ant-" in told
    assert [row["name"] for row in keys.list_keys(db)] == ["laptop"]
    tokens.remove_token(db, 1, NOON)
    with pytest.raises(AiroxyError):
        person.setup("", secrets=("one", "two", "three"))


def test_without_a_terminal_it_says_what_to_do(db: apsw.Connection, clock: Clock) -> None:
    context = Context(Typed(Path(db.filename), clock).config, environ={}, out=Screen())
    context.input = Screen()
    arguments = build_parser().parse_args(["setup"])
    with pytest.raises(AiroxyError, match="airoxy token add NAME -"):
        arguments.run(context, arguments)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3800"),
        ("localhost", "http://127.0.0.1:3800"),
        ("2001:db8::1", "http://[2001:db8::1]:3800"),
    ],
)
def test_the_base_url_is_where_airoxy_listens(host: str, url: str) -> None:
    assert paste.base_url(make_config({"host": host})) == url


@pytest.mark.parametrize("host", [None, "::", "0.0.0.0"])
def test_on_all_addresses_it_is_the_hosts_name(
    monkeypatch: pytest.MonkeyPatch, host: str | None
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "box")
    assert paste.base_url(make_config({"host": host, "port": 80})) == "http://box:80"


def test_where_tls_is_spoken_the_name_is_that_of_the_certificate(secured: Airoxy) -> None:
    printed = secured.cli("api-key", "add", "phone")
    assert re.search(r"ANTHROPIC_BASE_URL=https://[\w.-]+:\d+\n", printed)
    assert "http://" not in printed
