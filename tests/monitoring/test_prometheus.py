"""A real Prometheus asks an airoxy of two workers, and knows then what its clients did."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.monitoring.prometheus import EXAMPLES, Prometheus
from tests.program import Airoxy
from tests.server.pool.pooled import ask
from tests.server.proxy.test_streams import StreamClient

ONE = "sk-ant-api-test-one"
#: What Grafana fills in.
VARIABLES = {"__rate_interval": "1m", "__range": "1m"} | dict.fromkeys(
    ("instance", "key", "token", "model"), ".*"
)


@pytest.fixture
def site(install: Callable[..., Airoxy]) -> tuple[Airoxy, str]:
    airoxy = install(workers=2).start()
    airoxy.token(ONE, name="one")
    airoxy.token("sk-ant-oat-test-one", "sk-ant-ort-test-one", name="login")
    return airoxy, airoxy.key("laptop")


@pytest.fixture
def prometheus(tmp_path: Path, site: tuple[Airoxy, str]) -> Iterator[Prometheus]:
    with Prometheus(tmp_path / "prometheus", site[0]) as prometheus:
        prometheus.wait(lambda: prometheus.value('up{job="airoxy"}') == 1)
        yield prometheus


def traffic(airoxy: Airoxy, key: str, upstream: FakeAnthropic) -> None:
    """Ten requests: nine answers, of which one is an error and one breaks off; a token that cools;
    one client that leaves."""
    searched = {"server_tool_use": {"web_search_requests": 2}}
    upstream.script(token=ONE).limit(retry_after=600)
    upstream.script().message(usage=searched)
    for _ in range(7):
        assert ask(airoxy, key).status == 200
    upstream.script().status(500)
    assert ask(airoxy, key).status == 500
    upstream.script().broken()
    client = StreamClient(airoxy, key)
    client.read_to_end()
    client.leave()
    limiter = upstream.script().hold()
    client = StreamClient(airoxy, key)
    limiter.wait_arrived()
    client.leave()


def expressions() -> Iterator[tuple[str, str]]:
    """Every panel's title, with what it asks."""
    for panel in json.loads((EXAMPLES / "airoxy-dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(f"${name}", value)
            assert "$" not in expression
            yield panel["title"], expression


def test_prometheus_knows_what_clients_did_and_the_dashboard_can_ask_for_it(
    site: tuple[Airoxy, str], prometheus: Prometheus, upstream: FakeAnthropic
) -> None:
    airoxy, key = site
    for count in (10, 20):  # a rate is between two samples
        traffic(airoxy, key, upstream)
        prometheus.wait(lambda: prometheus.value("sum(airoxy_requests_total)") == count)  # noqa: B023

    told = prometheus.value
    assert told('sum(airoxy_requests_total{key="laptop", status="200", ending="complete"})') == 14
    assert told('sum(airoxy_requests_total{status="500", ending="complete"})') == 2
    assert told('sum(airoxy_requests_total{status="200", ending="upstream_failed"})') == 2
    assert told('sum(airoxy_requests_total{status="499", ending="client_left"})') == 2
    assert told("sum(airoxy_web_searches_total)") == 4
    assert told("sum(airoxy_request_duration_seconds_count)") == 20
    sums = airoxy.json("stats")
    assert told("sum(airoxy_cost_dollars_total)") == pytest.approx(sums["cost_nanousd"] / 1e9)
    for kind in ("input", "output"):
        assert told(f'sum(airoxy_usage_tokens_total{{kind="{kind}"}})') == sums[f"{kind}_tokens"]

    for title, expression in expressions():
        found = prometheus.query(expression)
        assert found, (title, expression)
        assert not any(math.isnan(float(each["value"][1])) for each in found), (title, expression)

    rules = prometheus.rules()
    assert len(rules) >= 8
    prometheus.wait(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()))


def test_prometheus_sees_that_nothing_is_ready_and_that_airoxy_is_gone(
    site: tuple[Airoxy, str], prometheus: Prometheus
) -> None:
    airoxy, _ = site
    for token in airoxy.json("token", "list"):
        airoxy.cli("token", "toggle", str(token["id"]))
    prometheus.wait(lambda: pending(prometheus) == {"AiroxyNoTokenReady"})
    airoxy.stop()
    prometheus.wait(lambda: "AiroxyDown" in pending(prometheus))


def pending(prometheus: Prometheus) -> set[str]:
    return {rule["name"] for rule in prometheus.rules() if rule["state"] != "inactive"}
