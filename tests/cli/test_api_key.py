"""Keys as an operator makes and takes them."""

import re

import pytest

from airoxy.core.keys import digest
from tests.program import Airoxy


@pytest.fixture
def airoxy(install) -> Airoxy:
    """Set up, but no server runs."""
    return install()


def test_a_new_key_is_shown_once_and_stored_as_a_digest_only(airoxy, upstream):
    shown = airoxy.json("api-key", "add", "--name", "laptop")
    assert shown["name"] == "laptop"
    assert re.fullmatch(r"ak-[A-Za-z0-9]{40}", shown["key"])
    listed = airoxy.cli("api-key", "list")
    assert shown["key"] not in listed
    assert f"{shown['key'][:8]}…{shown['key'][-4:]}" in listed
    stored = airoxy.database.read_bytes()
    stored += airoxy.database.with_name("airoxy.db-wal").read_bytes() if _has_wal(airoxy) else b""
    assert shown["key"].encode() not in stored
    assert digest(shown["key"]) in stored


def _has_wal(airoxy: Airoxy) -> bool:
    return airoxy.database.with_name("airoxy.db-wal").exists()


def test_without_json_a_person_is_told_how_to_use_it(airoxy):
    told = airoxy.cli("api-key", "add", "--name", "laptop")
    assert re.search(r"\bak-[A-Za-z0-9]{40}\b", told)
    assert "x-api-key" in told


def test_a_name_is_taken_once_and_free_again_after_removal(airoxy):
    first = airoxy.json("api-key", "add", "--name", "laptop")
    refused = airoxy.run("api-key", "add", "--name", "laptop")
    assert refused.returncode == 1
    assert "'laptop' is there already" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert len(airoxy.json("api-key", "list")) == 1
    airoxy.cli("api-key", "remove", str(first["id"]))
    assert airoxy.json("api-key", "add", "--name", "laptop")["id"] > first["id"]


def test_a_key_of_another_host_is_taken_on_standard_input(airoxy, install):
    key = install().key("laptop")
    taken = airoxy.json("api-key", "add", "-", "--name", "laptop", stdin=f"{key}\n")
    assert taken == {"id": 1, "name": "laptop", "key": key}
    assert digest(key) in airoxy.database.read_bytes()
    again = airoxy.run("api-key", "add", "-", "--name", "desk", stdin=key)
    assert again.returncode == 1
    assert again.stderr == "airoxy: That key is there already: 1 (laptop).\n"


@pytest.mark.parametrize("text", ["", "sk-ant-api-test-one", "ak-test", "ak-" + "x" * 39 + "é"])
def test_what_is_no_client_key_is_not_taken(airoxy, text):
    refused = airoxy.run("api-key", "add", "-", "--name", "laptop", stdin=text)
    assert refused.returncode == 2
    assert refused.stderr == "airoxy: A client key is ak- and 40 letters and digits.\n"


@pytest.mark.parametrize("command", ["remove", "toggle"])
def test_an_id_that_is_not_there_is_named_and_where_to_look(airoxy, command):
    refused = airoxy.run("api-key", command, "7")
    assert refused.returncode == 1
    assert refused.stderr == "airoxy: There is no key 7; `airoxy api-key list` shows them.\n"


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 65])
def test_a_name_that_no_table_could_show_is_refused(airoxy, name):
    refused = airoxy.run("api-key", "add", "--name", name)
    assert refused.returncode == 2
    assert "printable characters" in refused.stderr


def test_toggle_says_what_holds_now(airoxy):
    key = str(airoxy.json("api-key", "add", "--name", "laptop")["id"])
    assert "disabled now" in airoxy.cli("api-key", "toggle", key)
    assert "disabled" in airoxy.cli("api-key", "list")
    assert "active now" in airoxy.cli("api-key", "toggle", key)


def test_the_older_spelling_is_the_same_command(airoxy):
    added = airoxy.json("api-key:add", "--name", "laptop")
    assert airoxy.json("api-key:list")[0]["id"] == added["id"]


def test_an_empty_list_says_what_to_do_and_is_an_empty_array(airoxy):
    assert "airoxy api-key add" in airoxy.cli("api-key", "list")
    assert airoxy.json("api-key", "list") == []
