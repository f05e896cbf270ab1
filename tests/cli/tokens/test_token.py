"""Tokens as an operator adds, sees and removes them."""

import fcntl
import os
import pty
import subprocess
import sys
import termios

import pytest

from tests.program import PYTHON, ROOT, Airoxy, environment, unix

KEY = "sk-ant-api-test-one-0001"
OAUTH, REFRESH = "sk-ant-oat-test-one-0001", "sk-ant-ort-test-one-0001"


@pytest.fixture
def airoxy(install) -> Airoxy:
    """Set up, but no server runs."""
    return install()


def test_the_type_is_told_by_the_prefix_and_the_secret_is_masked(airoxy):
    added = airoxy.json("token", "add", KEY, "--name", "one")
    assert added == {"id": 1, "name": "one", "type": "api_key"}
    listed = airoxy.cli("token", "list")
    assert KEY not in listed
    assert "sk-ant-a…0001" in listed
    assert "ready" in listed


def test_an_oauth_token_needs_its_refresh_token_and_shows_the_terms(airoxy):
    done = airoxy.run("token", "add", OAUTH, REFRESH, "--name", "pair", "--json")
    assert '"type": "oauth"' in done.stdout
    assert "Anthropic's terms" in done.stderr
    row = airoxy.json("token", "list")[0]
    assert 28700 < unix(row["expires_at"]) - unix(row["created_at"]) <= 28800
    assert "refresh_token" not in row
    refused = airoxy.run("token", "add", OAUTH + "2", "--name", "other")
    assert refused.returncode == 2
    assert "needs its refresh token" in refused.stderr


def test_expires_in_is_taken(airoxy):
    airoxy.cli("token", "add", OAUTH, REFRESH, "--name", "pair", "--expires-in", "60")
    row = airoxy.json("token", "list")[0]
    assert 55 < unix(row["expires_at"]) - unix(row["created_at"]) <= 60
    refused = airoxy.run("token", "add", OAUTH, REFRESH, "--name", "two", "--expires-in", "0")
    assert refused.returncode == 2


@pytest.mark.parametrize("words", [(KEY,), (OAUTH, REFRESH), (f"\ufeff{KEY}\r",)])
def test_standard_input_keeps_secrets_out_of_the_process_list(airoxy, words):
    airoxy.cli("token", "add", "-", "--name", "one", stdin="\n".join(words) + "\n")
    assert len(airoxy.json("token", "list")) == 1


@pytest.mark.parametrize(
    "words", [["sk-test-foreign"], [REFRESH], [KEY, REFRESH], [OAUTH, "sk-ant-api-test"], [""]]
)
def test_what_is_no_token_is_refused_and_not_repeated(airoxy, words):
    refused = airoxy.run("token", "add", "-", "--name", "one", stdin=" ".join(words))
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1 or "terms" in refused.stderr
    assert not any(word and word in refused.stderr for word in words)
    assert airoxy.json("token", "list") == []


def test_a_token_that_is_known_is_refused_by_the_name_it_has(airoxy):
    airoxy.cli("token", "add", KEY, "--name", "one")
    for name in ("one", "two"):
        refused = airoxy.run("token", "add", KEY, "--name", name)
        assert refused.returncode == 1
        assert "already" in refused.stderr
        assert "one" in refused.stderr
        assert KEY not in refused.stderr
    assert len(airoxy.json("token", "list")) == 1


@pytest.mark.parametrize("command", ["remove", "toggle", "reset"])
def test_an_id_that_is_not_there_is_named_and_where_to_look(airoxy, command):
    refused = airoxy.run("token", command, "7")
    assert refused.returncode == 1
    assert refused.stderr == "airoxy: There is no token 7; `airoxy token list` shows them.\n"


def test_a_removed_token_leaves_no_secret_behind(airoxy):
    airoxy.cli("token", "add", OAUTH, REFRESH, "--name", "pair")
    airoxy.cli("token", "remove", "1")
    assert airoxy.json("token", "list") == []
    stored = b"".join(path.read_bytes() for path in airoxy.database.parent.glob("airoxy.db*"))
    assert OAUTH.encode() not in stored
    assert REFRESH.encode() not in stored


def test_a_person_is_asked_and_nothing_is_echoed(airoxy):
    ours, theirs = pty.openpty()
    command = [
        PYTHON,
        "-m",
        "airoxy",
        "--config",
        str(airoxy.config),
        "token",
        "add",
        "--name",
        "one",
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"Token (" not in seen:
            seen += os.read(ours, 1000)
        os.write(ours, KEY.encode() + b"\n")
        try:
            while piece := os.read(ours, 1000):
                seen += piece
        except OSError:  # the terminal's other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0, seen
    assert KEY.encode() not in seen
    assert airoxy.json("token", "list")[0]["name"] == "one"


def test_refresh_skips_an_api_key_with_a_word(airoxy):
    airoxy.cli("token", "add", KEY, "--name", "one")
    assert "API key does not expire" in airoxy.cli("token", "refresh")
    assert "API key does not expire" in airoxy.cli("token", "refresh", "--id", "1")
    assert airoxy.run("token", "refresh", "--id", "7").returncode == 1


def test_refresh_renews_and_says_when_it_could_not(airoxy, upstream):
    airoxy.cli("token", "add", OAUTH, REFRESH, "--name", "pair")
    assert "renewed" in airoxy.cli("token", "refresh")
    upstream.script(path="/v1/oauth/token").status(500)
    refused = airoxy.run("token", "refresh")
    assert refused.returncode == 1
    assert "HTTP 500" in refused.stdout
    assert "sk-ant" not in refused.stdout + refused.stderr


def test_the_job_fails_when_a_token_could_not_be_renewed(airoxy, upstream):
    assert airoxy.cli("job", "refresh-tokens") == ""
    airoxy.cli("token", "add", OAUTH, REFRESH, "--name", "pair")
    airoxy.cli("job", "refresh-tokens")
    upstream.revoke(upstream.refreshes[-1].json()["refresh_token"])
    upstream.script(path="/v1/oauth/token").status(400)
    airoxy.cli("job", "refresh-tokens", status=1)


def test_the_list_answers_without_loading_what_the_server_needs():
    code = (
        "import sys; from airoxy.cli import build_parser; import airoxy.cli.tokens.token; "
        "print([m for m in ('httpx', 'falcon', 'uvicorn', 'asyncio') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"
