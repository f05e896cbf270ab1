"""GET /metrics: who gets it, and what it tells of everything that several workers did."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airoxy.server.metrics.endpoint import may_ask, networks
from tests.fake_anthropic import FakeAnthropic
from tests.program import ROOT, Airoxy, environment, need
from tests.server.pool.pooled import ask
from tests.server.proxy.test_streams import StreamClient

ONE, TWO = "sk-ant-api-test-one", "sk-ant-api-test-two"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def metrics(airoxy: Airoxy) -> dict[tuple[str, str], float]:
    """The samples, by name and labels as they are written."""
    answer = airoxy.request("GET", "/metrics")
    assert answer.status == 200, answer
    found = SAMPLE.findall(answer.body.decode())
    samples = {(name, labels): float(value) for name, labels, value in found}
    assert len(samples) == len(found)
    return samples


def total(airoxy: Airoxy, name: str, *labels: str) -> float:
    """The sum of a metric over all series that have these labels."""
    return sum(
        value
        for (each, own), value in metrics(airoxy).items()
        if each == name and all(label in own for label in labels)
    )


def wait_total(airoxy: Airoxy, count: float, name: str, *labels: str) -> None:
    """Until it is so; counting goes on behind the answers."""
    deadline = time.monotonic() + 60
    while (found := total(airoxy, name, *labels)) != count:
        assert time.monotonic() < deadline, (name, labels, found)
        time.sleep(0.02)


@pytest.fixture
def site(install: Callable[..., Airoxy]) -> tuple[Airoxy, str]:
    """Two workers, a token, a key."""
    airoxy = install(workers=2).start()
    airoxy.token(ONE, name="one")
    return airoxy, airoxy.key("laptop")


# Who may


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_ask(client: str) -> None:
    assert may_ask({"client": (client, 1), "headers": []}, networks([]))


@pytest.mark.parametrize(
    "client", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "fe80::1%eth0", "0.0.0.0", "::"]
)
def test_another_machine_may_not_unless_it_is_listed(client: str) -> None:
    scope = {"client": (client, 1), "headers": []}
    assert not may_ask(scope, networks([]))
    assert not may_ask(scope, networks(["10.0.0.0/8", "2001:db8:1::/48"]))
    if client not in ("0.0.0.0", "::"):
        assert may_ask(scope, networks(["192.0.2.0/24", "2001:db8::/48", "fe80::/10"]))


def test_who_has_no_address_may_not() -> None:
    assert not may_ask({"client": None, "headers": []}, networks(["0.0.0.0/0"]))


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Forwarded-For", "x-forwarded-host", "X-Real-IP"]
)
def test_what_a_proxy_asks_for_somebody_is_refused(airoxy: Airoxy, header: str) -> None:
    answer = airoxy.request("GET", "/metrics", headers={header: "127.0.0.1"})
    assert answer.status == 403
    error = answer.json()
    assert error["error"]["type"] == "permission_error"
    assert "metrics.allow" in error["error"]["message"]
    assert error["request_id"] == answer.headers["request-id"]


# What it looks like


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        (None, "text/plain", b"\n"),
        ("text/html", "text/plain", b"\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(
    site: tuple[Airoxy, str], accept: str | None, content_type: str, end: bytes
) -> None:
    airoxy, key = site
    ask(airoxy, key)
    wait_total(airoxy, 1, "airoxy_requests_total")
    answer = airoxy.request("GET", "/metrics", headers={"accept": accept} if accept else {})
    assert answer.headers["content-type"].startswith(content_type)
    assert answer.body.endswith(end)


def test_promtool_has_nothing_against_it(site: tuple[Airoxy, str]) -> None:
    airoxy, key = site
    ask(airoxy, key)
    wait_total(airoxy, 1, "airoxy_requests_total")
    body = airoxy.request("GET", "/metrics").body
    done = subprocess.run([need("promtool"), "check", "metrics"], input=body, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_who_is_never_asked_never_loads_the_library() -> None:
    code = "import sys, airoxy.server.app; sys.exit('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment())
    assert done.returncode == 0


# What it tells


def test_it_tells_what_both_workers_did(site: tuple[Airoxy, str], upstream: FakeAnthropic) -> None:
    airoxy, key = site
    for _ in range(8):
        assert ask(airoxy, key).status == 200
    ask(airoxy, key, stream=True)
    upstream.script().status(400)
    ask(airoxy, key)
    labels = 'key="laptop",model="claude-opus-5-5"'
    wait_total(airoxy, 10, "airoxy_requests_total", labels, 'token="one"')
    assert total(airoxy, "airoxy_requests_total", 'status="400"', 'ending="complete"') == 1
    wait_total(airoxy, 9 * 12, "airoxy_usage_tokens_total", 'kind="output"')
    airoxy.wait_logs(10)
    cost = airoxy.json("stats")["cost_nanousd"] / 1e9
    assert total(airoxy, "airoxy_cost_dollars_total") == pytest.approx(cost)
    for name in ("time_to_first_byte", "request_duration"):
        assert total(airoxy, f"airoxy_{name}_seconds_count") == 10
        assert total(airoxy, f"airoxy_{name}_seconds_bucket", 'le="+Inf"') == 10
        assert 0 < total(airoxy, f"airoxy_{name}_seconds_sum") < 60


def test_counters_stay_when_workers_die_and_when_they_are_replaced(
    site: tuple[Airoxy, str],
) -> None:
    airoxy, key = site
    for _ in range(3):
        ask(airoxy, key)
    wait_total(airoxy, 3, "airoxy_requests_total")
    assert airoxy.process
    for worker in children(airoxy.process.pid):
        os.kill(worker, signal.SIGKILL)
    while ask_again(airoxy, key) != 200:
        pass
    wait_total(airoxy, 4, "airoxy_requests_total")
    former = children(airoxy.process.pid)
    airoxy.process.send_signal(signal.SIGHUP)
    while children(airoxy.process.pid) & former:
        time.sleep(0.05)
    ask(airoxy, key)
    wait_total(airoxy, 5, "airoxy_requests_total")


def ask_again(airoxy: Airoxy, key: str) -> int:
    try:
        return ask(airoxy, key).status
    except OSError:  # the listening socket had given the connection to the one that was killed
        return 0


def children(parent: int) -> set[int]:
    return set(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))


def test_it_tells_how_each_token_stands(site: tuple[Airoxy, str], upstream: FakeAnthropic) -> None:
    airoxy, key = site
    airoxy.token(TWO, name="two")
    airoxy.token("sk-ant-oat-test-one", "sk-ant-ort-test-one", name="login")
    upstream.script(token=ONE).limit(retry_after=300)
    upstream.script(token=TWO).unauthorized()
    for _ in range(2):
        assert ask(airoxy, key).status == 200
    wait_total(airoxy, 1, "airoxy_token_refused", 'token="two"')
    wait_total(airoxy, 2, "airoxy_failovers_total", 'token="login"')
    samples = metrics(airoxy)
    until = "airoxy_token_cooling_until_timestamp_seconds"
    cooling = samples[until, 'model_class="claude-opus-5-5",token="one"']
    assert 200 < cooling - time.time() <= 300
    assert samples["airoxy_tokens_ready", ""] == 2
    ready = {name: samples["airoxy_token_ready", f'token="{name}"'] for name in ("one", "two")}
    assert ready == {"one": 1, "two": 0}
    assert samples["airoxy_token_refresh_failures", 'token="login"'] == 0
    assert samples["airoxy_token_expires_timestamp_seconds", 'token="login"'] > time.time()
    assert ("airoxy_token_refresh_failures", 'token="one"') not in samples


def test_it_tells_cooldowns_of_every_endpoint_group(
    site: tuple[Airoxy, str], upstream: FakeAnthropic
) -> None:
    airoxy, key = site
    path = "/v1/messages/count_tokens"
    upstream.script(path=path).limit(retry_after=300)
    body = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Hello"}]}
    assert airoxy.request("POST", path, body, key=key).status == 429
    assert ask(airoxy, key).status == 200
    labels = 'endpoint_group="count_tokens",model_class="claude-opus-5-5",token="one"'
    until = "airoxy_token_cooldown_until_timestamp_seconds"
    deadline = time.monotonic() + 60
    while (until, labels) not in (samples := metrics(airoxy)):
        assert time.monotonic() < deadline
    assert 200 < samples[until, labels] - time.time() <= 300
    assert total(airoxy, "airoxy_token_cooling_until_timestamp_seconds") == 0


def test_it_tells_what_all_workers_are_at(
    site: tuple[Airoxy, str], upstream: FakeAnthropic
) -> None:
    airoxy, key = site
    gates = [upstream.script().hold() for _ in range(4)]
    clients = [StreamClient(airoxy, key) for _ in gates]
    wait_total(airoxy, 4, "airoxy_streams_open")
    wait_total(airoxy, 4, "airoxy_upstream_connections")
    for client in clients:
        client.leave()
    wait_total(airoxy, 0, "airoxy_streams_open")
    wait_total(airoxy, 4, "airoxy_requests_total", 'ending="client_left"', 'status="499"')


def test_a_name_that_was_given_again_is_one_series(site: tuple[Airoxy, str]) -> None:
    airoxy, key = site
    ask(airoxy, key)
    wait_total(airoxy, 1, "airoxy_requests_total")
    airoxy.cli("api-key", "remove", str(airoxy.json("api-key", "list")[0]["id"]))
    ask(airoxy, airoxy.key("laptop"))
    wait_total(airoxy, 2, "airoxy_requests_total", 'key="laptop"')


def test_a_model_that_a_client_has_made_up_is_no_series(
    site: tuple[Airoxy, str], upstream: FakeAnthropic
) -> None:
    airoxy, key = site
    upstream.script().status(404).limit(retry_after=300)
    for number in range(2):
        ask(airoxy, key, model=f"made-up-{number}")
    wait_total(airoxy, 2, "airoxy_requests_total", 'model="other"')
    assert "made-up" not in airoxy.request("GET", "/metrics").body.decode()


def test_what_was_counted_is_told_while_the_database_is_away(
    airoxy: Airoxy, tmp_path: Path
) -> None:
    airoxy.token(ONE, name="one")
    ask(airoxy, airoxy.key("laptop"))
    wait_total(airoxy, 1, "airoxy_requests_total", 'key="laptop"', 'token="one"')
    airoxy.database.rename(tmp_path / "away")
    try:
        samples = metrics(airoxy)
    finally:
        (tmp_path / "away").rename(airoxy.database)
    assert samples["airoxy_database_readable", ""] == 0
    assert samples["airoxy_token_ready", 'token="one"'] == 1
    told = [
        value
        for (name, labels), value in samples.items()
        if name == "airoxy_requests_total" and 'key="laptop"' in labels and 'token="one"' in labels
    ]
    assert told == [1]
