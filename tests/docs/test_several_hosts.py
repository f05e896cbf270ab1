"""Three airoxys behind one HAProxy, as the operators' guide has them, with a database each."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.docs import proxies
from tests.docs.curl import HELLO, Curl

ONE = "sk-ant-api-test-one"
SESSION = "x-claude-code-session-id"


@pytest.fixture
def hosts(install):
    """They have one client key and one token in common, added to each."""
    made = [install() for _ in range(3)]
    key = made[0].key("laptop")
    for host in made[1:]:
        host.cli("api-key", "add", "--name", "laptop", "-", stdin=key)
    for host in made:
        host.token(ONE, name="work")
        host.start()
    made[0].shared_key = key
    return made


@pytest.fixture
def front(hosts, tmp_path):
    directory = tmp_path / "front"
    directory.mkdir()
    with proxies.haproxy(directory, [host.port for host in hosts]) as proxy:
        yield proxy


@pytest.fixture
def curl(front, hosts) -> Curl:
    return Curl(front.url, front.directory / "ca/ca.pem", hosts[0].shared_key)


def ask(curl: Curl, sessions: list[str]) -> None:
    for session in sessions:
        assert curl.post(HELLO, "-H", f"{SESSION}: {session}")["type"] == "message"


def served(hosts, total: int) -> list[int]:
    """How many of `total` requests each has in its log; the writers work behind the answers."""
    deadline = time.monotonic() + 30
    while True:
        counts = [len(host.wait_logs(0)) for host in hosts]
        if sum(counts) >= total or time.monotonic() > deadline:
            return counts
        time.sleep(0.05)


def test_a_session_stays_on_one_host_and_sessions_are_spread(curl, hosts):
    ask(curl, ["one"] * 6)
    assert sorted(served(hosts, 6)) == [0, 0, 6]
    ask(curl, [f"session-{number}" for number in range(24)])
    assert min(served(hosts, 30)) > 0


def test_what_has_no_session_goes_round(curl, hosts):
    curl.get("/v1/models", times=12)
    assert min(served(hosts, 12)) > 1


def test_a_stopped_hosts_sessions_move_and_the_others_stay(curl, hosts):
    sessions = [f"session-{number}" for number in range(12)]
    ask(curl, sessions)
    before = served(hosts, 12)
    assert min(before) > 0
    stopped, left = hosts[0], hosts[1:]
    stopped.stop()
    ask(curl, sessions)
    after = served(left, 12 + sum(before[1:]))
    moved = [later - sooner for later, sooner in zip(after, before[1:], strict=True)]
    assert sum(moved) == len(sessions)
    assert all(m >= b for m, b in zip(moved, before[1:], strict=True))


def sender(front, hosts, header: str) -> Curl:
    """A client that sends the key in this header."""
    key = hosts[0].shared_key
    value = f"Bearer {key}" if header == "authorization" else key
    return Curl(front.url, front.directory / "ca/ca.pem", None, "-H", f"{header}: {value}")


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_batch_and_its_results_are_found_on_the_host_that_made_it(front, hosts, header):
    curl = sender(front, hosts, header)
    batch = curl.post(
        {"requests": [{"custom_id": "a", "params": HELLO}]}, path="/v1/messages/batches"
    )
    path = f"/v1/messages/batches/{batch['id']}"
    for number in range(8):
        curl.get(path, "-f", "-H", f"{SESSION}: session-{number}")
    assert json.loads(curl.get(f"{path}/results"))["custom_id"] == "a"
    assert sorted(served(hosts, 10)) == [0, 0, 10]


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_message_that_names_a_file_goes_where_the_file_was_made(front, hosts, header, tmp_path):
    curl = sender(front, hosts, header)
    (tmp_path / "note").write_text("hello")
    curl.get("/v1/files", "-F", f"file=@{tmp_path / 'note'}")
    files = ("-H", "anthropic-beta: files-api-2025-04-14")
    for number in range(8):
        curl.post(HELLO, *files, "-H", f"{SESSION}: session-{number}")
    assert sorted(served(hosts, 9)) == [0, 0, 9]


def test_both_headers_of_a_key_lead_to_the_same_host(front, hosts):
    for header in ("x-api-key", "authorization") * 3:
        sender(front, hosts, header).get("/v1/files", "-f")
    assert sorted(served(hosts, 6)) == [0, 0, 6]


def test_nothing_is_shared(curl, hosts):
    other = hosts[1].key("other")
    refused = [host.request("POST", "/v1/messages", HELLO, key=other).status for host in hosts]
    assert refused == [401, 200, 401]


def test_a_host_without_tokens_is_left_out_and_without_any_they_say_so(front, curl, hosts):
    for host in hosts[:2]:
        host.cli("token", "toggle", "1")
    deadline = time.monotonic() + 30
    while len(set(re.findall(r"airoxy/(\w+) is DOWN", front.told))) < 2:
        assert time.monotonic() < deadline, front.told
        time.sleep(0.1)
    curl.get("/v1/models", "-f", times=4)
    assert served(hosts, 4) == [0, 0, 4]
    hosts[2].cli("token", "toggle", "1")
    told = curl.post(HELLO)
    assert told["error"]["message"] == "No access tokens available"
