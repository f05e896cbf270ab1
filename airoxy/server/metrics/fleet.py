"""The metrics of a host that is one of a fleet."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.server.metrics.readings import Stored


def fleet_metrics(stored: Stored) -> Iterator[Metric]:
    """Nothing where it is alone."""
    fleet = stored.fleet
    if fleet is None:
        return
    for name, text in (
        ("hosts", "Hosts of the fleet, as far as this one knows."),
        ("rows_waiting", "Rows of this host's usage log that the fleet does not have yet."),
        ("seconds_since_contact", "Since this host's agent has met the fleet; +Inf: never."),
    ):
        value = math.inf if fleet[name] is None else fleet[name]
        yield GaugeMetricFamily(f"airoxy_fleet_{name}", text, value)
    yield _shares(stored)


def _shares(stored: Stored) -> Metric:
    family = GaugeMetricFamily(
        "airoxy_fleet_share_ratio",
        "The part of a limit of a key, group or token that this host of the fleet may use.",
        labels=("key", "group", "token", "limit"),
    )
    for (number, limit), ratio in stored.shares.items():
        key = stored.keys.get(number, "")
        group = stored.groups.get(number - GROUPS_FROM, "")
        token = stored.token_names.get(-number, "")
        family.add_metric([key, group, token, limit], ratio)
    return family
