"""Taking over Claude Code's logins, from files as they are found."""

import json
import os

import pytest

from airoxy.cli.tokens import auto
from tests.program import Airoxy, unix


def login(number: int, expires_at: int = 1_900_000_000) -> str:
    pair = {
        "accessToken": f"sk-ant-oat-test-{number:04}",
        "refreshToken": f"sk-ant-ort-test-{number:04}",
        "expiresAt": expires_at * 1000,
    }
    return json.dumps({"claudeAiOauth": pair, "organizationUuid": "x"})


@pytest.fixture
def airoxy(install) -> Airoxy:
    return install()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "home" / "ada" / ".claude" / ".credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(login(1))
    return path


def test_a_login_is_added_under_its_owners_name_and_the_terms_are_shown(airoxy, file):
    done = airoxy.run("token", "auto", "--path", str(file))
    assert done.returncode == 0
    assert "Anthropic's terms" in done.stderr
    (row,) = airoxy.json("token", "list")
    assert (row["type"], unix(row["expires_at"])) == ("oauth", 1_900_000_000)
    assert row["name"] == auto.read(file).user


def test_a_known_refresh_token_is_updated_where_the_file_is_newer(airoxy, file):
    airoxy.cli("token", "auto", "--path", str(file))
    assert "up to date" in airoxy.cli("token", "auto", "--path", str(file))
    newer = json.loads(login(1, 1_900_000_999))
    newer["claudeAiOauth"]["accessToken"] = "sk-ant-oat-test-newer-0002"
    file.write_text(json.dumps(newer))
    assert "updated" in airoxy.cli("token", "auto", "--path", str(file))
    (row,) = airoxy.json("token", "list")
    assert unix(row["expires_at"]) == 1_900_000_999
    assert row["masked"].endswith("0002")


def test_another_login_of_the_same_user_gets_a_number(airoxy, file):
    airoxy.cli("token", "auto", "--path", str(file))
    file.write_text(login(2))
    airoxy.cli("token", "auto", "--path", str(file))
    first, second = airoxy.json("token", "list")
    assert second["name"] == f"{first['name']}-2"


def test_dry_run_only_tells(airoxy, file):
    assert "would be added" in airoxy.cli("token", "auto", "--dry-run", "--path", str(file))
    assert airoxy.json("token", "list") == []


def test_a_broken_file_is_skipped_with_a_word_and_named_when_asked_for(airoxy, file):
    file.write_text("{")
    assert auto.read(file).skipped == "holds no Claude Code login"
    refused = airoxy.run("token", "auto", "--path", str(file))
    assert refused.returncode == 2
    assert str(file) in refused.stderr
    assert airoxy.run("token", "auto", "--path", str(file.with_name("none"))).returncode == 2


def test_a_link_a_fifo_and_a_huge_file_are_not_read(file, tmp_path):
    link = file.with_name("link")
    link.symlink_to(file)
    assert auto.read(link).skipped.startswith("cannot be read")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert auto.read(fifo).skipped == "is not a credential file"
    assert auto.read(tmp_path).skipped == "is not a credential file"
    file.write_text(login(1) + " " * 2_000_000)
    assert auto.read(file).skipped == "is not a credential file"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_in_a_home_is_foreign(file):
    os.chown(file, 65534, 65534)
    found = auto.read(file)
    assert found.credentials is None
    assert found.skipped == "belongs to somebody else than its home directory"


def test_every_home_is_looked_into(tmp_path, file):
    (tmp_path / "home" / "bob").mkdir()
    found = list(auto.everywhere(tmp_path / "root", tmp_path / "home"))
    assert found == [file]
