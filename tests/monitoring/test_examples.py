"""What is shipped for Prometheus and Grafana: whole, true, and each alert tested on its own."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airoxy.core.pool import EVERYTHING
from airoxy.server.metrics import exposition
from airoxy.server.metrics.counters import REGION, MetricCounters
from airoxy.server.metrics.load import Load
from airoxy.server.metrics.readings import Readings, Stored
from airoxy.server.shared_memory import SharedMemory
from tests.monitoring.prometheus import EXAMPLES
from tests.program import ROOT, need
from tests.server.metrics.test_counters import row

RULES = EXAMPLES / "airoxy-alerts.yml"
DASHBOARD = EXAMPLES / "airoxy-dashboard.json"
TESTS = Path(__file__).with_name("alerts.yml")
METRIC = re.compile(r"\bairoxy_\w+")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def promtool(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need("promtool"), *map(str, words)], capture_output=True, text=True)


def readings(metric_counters: MetricCounters) -> Readings:
    """Those of a service where there is something of everything."""
    token = {
        "id": 7, "name": "one", "type": "oauth", "is_active": True, "inactive_reason": None,
        "refresh_failures": 0, "expires_at": 2_000_000_000,
        "quota": [{"window": "5h", "used": 0.5, "resets_at": 2e9}],
        "coolings": [{"group": "*", "model_class": "*", "until": 2e9, "reason": "rate limited"}],
    }  # fmt: skip
    return Readings(
        counted=metric_counters.read(),
        dropped=0,
        refused=0,
        load=Load(1, 1, 1),
        ready=frozenset((7,)),
        exhausted=[EVERYTHING],
        refused_connections={"open": 1},
        stored=Stored(
            {1: "laptop"},
            {7: "one"},
            [token],
            readable=True,
            fleet={"hosts": 3, "rows_waiting": 2, "seconds_since_contact": None},
            shares={(1, "spend_per_day"): 0.5},
        ),
    )


@pytest.fixture(scope="module")
def told() -> set[str]:
    """The names of all metrics that there are."""
    memory = SharedMemory.of(REGION)
    metric_counters = MetricCounters(memory)
    metric_counters.count([row()])
    text = exposition.render(readings(metric_counters), "")[0].decode()
    memory.close()
    return set(re.findall(r"^(\w+)[ {]", text, re.MULTILINE))


def test_promtool_takes_the_rules_and_the_configuration() -> None:
    for words in (("rules", RULES), ("config", EXAMPLES / "prometheus.yml")):
        done = promtool("check", *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_warn_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [alert["alert"] for alert in alerts()])
@pytest.mark.parametrize("instead", ["vector(1) > 2", "vector(1)"])
def test_an_alert_that_never_or_always_warns_is_found(
    tmp_path: Path, name: str, instead: str
) -> None:
    """So the tests of every alert are able to fail; those of others say nothing of it."""
    document = yaml.safe_load(RULES.read_text())
    for rule in document["groups"][0]["rules"]:
        if rule["alert"] == name:
            rule["expr"] = instead
    (tmp_path / RULES.name).write_text(yaml.safe_dump(document))
    test = yaml.safe_load(TESTS.read_text()) | {"rule_files": [RULES.name]}
    test["tests"] = [each for each in test["tests"] if name in asked_for(each)]
    (tmp_path / TESTS.name).write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", tmp_path / TESTS.name)
    assert done.returncode == 1
    assert name in done.stdout + done.stderr


def asked_for(test: dict[str, Any]) -> set[str]:
    """The alerts that one of promtool's tests is about."""
    return {each["alertname"] for each in test["alert_rule_test"]}


def test_every_metric_that_is_named_exists(told: set[str]) -> None:
    for path in (RULES, DASHBOARD, ROOT / "docs" / "monitoring.md"):
        named = set(METRIC.findall(path.read_text()))
        assert len(named) > 5
        histograms = {name for name in named if f"{name}_bucket" in told}
        assert named - histograms <= told, path


def test_every_metric_that_exists_is_in_the_manual(told: set[str]) -> None:
    manual = (ROOT / "docs" / "monitoring.md").read_text()
    for name in told:
        assert re.sub("_(bucket|sum|count)$", "", name) in manual, name


def test_the_dashboard_has_no_source_and_no_place_taken_twice() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if "targets" in panel} == {
        "${datasource}"
    }
    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_grafana_is_told_of_the_dashboard() -> None:
    (provider,) = yaml.safe_load((EXAMPLES / "grafana-provisioning.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/")


def test_the_package_ships_them() -> None:
    shipped = (ROOT / "debian" / "airoxy.examples").read_text().splitlines()
    assert EXAMPLES in [ROOT / line for line in shipped]
