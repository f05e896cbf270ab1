"""The metrics as text in Prometheus's formats, family by family.

Invariant: labels are names of keys, tokens and models, never anything secret; equal labels are one
series. Only this module imports prometheus_client, and it is imported with the first request: it
takes 1.4 MB of a worker, and most installations are never asked.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from airoxy import __version__
from airoxy.core.billing.usage import USAGE
from airoxy.core.pool import EVERY_CLASS, EVERY_GROUP, model_class
from airoxy.server.metrics.counters import BOUNDS, OTHER, CounterLabels, CounterValues
from airoxy.server.metrics.fleet import fleet_metrics
from airoxy.server.metrics.readings import Readings

#: Where there is no key, token or model.
NONE = "none"

_LABELS = ("key", "group", "token", "model", "status", "ending")
_LE = (*(str(bound / 1000) for bound in BOUNDS), "+Inf")
_COOLING = "airoxy_token_cooling_until_timestamp_seconds"
_COOLDOWN = "airoxy_token_cooldown_until_timestamp_seconds"


class _Counter(NamedTuple):
    """By those of _LABELS; `unit` is how many of what `take` gives make one. What is 0 where
    nothing was used at all is no series."""

    name: str
    text: str
    labels: tuple[str, ...]
    take: Callable[[CounterValues], int]
    unit: float = 1
    used: bool = False


class _Histogram(NamedTuple):
    name: str
    text: str
    take: Callable[[CounterValues], tuple[int, ...]]


class _TokenGauge(NamedTuple):
    """`take` gets a row of `tokens.list_tokens` and whether it is ready; None is no series."""

    name: str
    text: str
    take: Callable[[Mapping[str, Any], bool], float | None]


def _sum_of(counts: CounterValues, name: str) -> int:
    return counts.sums[name]


_COUNTERS = (
    _Counter(
        "airoxy_requests",
        "Requests with a valid key that have ended.",
        _LABELS,
        lambda counts: counts.requests,
    ),
    _Counter(
        "airoxy_failovers",
        "Attempts at requests beyond the first, by the token that was tried last.",
        ("token",),
        lambda counts: counts.failovers,
    ),
    *(
        _Counter(
            f"airoxy_{each.metric}",
            f"{each.label} that Anthropic has counted.",
            ("key", "token", "model"),
            partial(_sum_of, name=each.name),
            used=True,
        )
        for each in USAGE
        if not each.is_token
    ),
    _Counter(
        "airoxy_estimated_requests",
        "Requests whose output is airoxy's estimate, because the answer ended before its counts.",
        ("key", "token", "model"),
        partial(_sum_of, name="is_estimate"),
        used=True,
    ),
    _Counter(
        "airoxy_uncounted_requests",
        "Requests that cost money which airoxy cannot count.",
        ("key", "token", "model"),
        partial(_sum_of, name="uncounted"),
        used=True,
    ),
    _Counter(
        "airoxy_cost_dollars",
        "Estimated cost in US dollars.",
        ("key", "group", "token", "model"),
        partial(_sum_of, name="cost_nanousd"),
        unit=1e9,
        used=True,
    ),
)
_HISTOGRAMS = (
    _Histogram(
        "airoxy_time_to_first_byte_seconds",
        "Time from a request to the head of its answer.",
        lambda counts: counts.ttfb,
    ),
    _Histogram(
        "airoxy_request_duration_seconds",
        "Time from a request to the end of its answer.",
        lambda counts: counts.duration,
    ),
)
_TOKEN_GAUGES = (
    _TokenGauge(
        "airoxy_token_ready",
        "Whether the token could serve a request for any model.",
        lambda _, ready: ready,
    ),
    _TokenGauge(
        "airoxy_token_refused",
        "Whether the token is off because Anthropic refused it.",
        lambda token, _: token["inactive_reason"] is not None,
    ),
    _TokenGauge(
        "airoxy_token_refresh_failures",
        "How often in a row refreshing the OAuth token was refused.",
        lambda token, _: token["refresh_failures"] if token["type"] == "oauth" else None,
    ),
    _TokenGauge(
        "airoxy_token_expires_timestamp_seconds",
        "When the access token of an active OAuth token expires (Unix time).",
        lambda token, _: token["expires_at"] if token["is_active"] else None,
    ),
)


def render(readings: Readings, accept: str) -> tuple[bytes, str]:
    """The body and its content type: OpenMetrics where it is accepted, else Prometheus's text."""
    registry = CollectorRegistry()
    registry.register(_Families(readings))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Families(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        counted = self._readings.counted
        yield InfoMetricFamily(
            "airoxy_build",
            "Versions of airoxy and of its Python.",
            {"version": __version__, "python": platform.python_version()},
        )
        yield from self._service()
        yield from fleet_metrics(self._readings.stored)
        yield from self._tokens()
        classes = self._readings.classes.union(model_class(each.model) for each, _ in counted)
        yield self._cooling(classes)
        yield self._cooldowns(classes)
        yield self._exhausted(classes)
        yield self._quota(
            "airoxy_token_quota_used_ratio", "The share of a quota window that is used.", "used"
        )
        yield self._quota(
            "airoxy_token_quota_reset_timestamp_seconds",
            "When a quota window begins anew (Unix time).",
            "resets_at",
        )
        named = [(self._names(outcome), counts) for outcome, counts in counted if counts.requests]
        yield from (_counter(each, named) for each in _COUNTERS)
        yield _usage(named)
        yield from (_histogram(each, named) for each in _HISTOGRAMS)

    def describe(self) -> Sequence[Metric]:
        """Nothing is asked when it is registered."""
        return ()

    def _service(self) -> Iterator[Metric]:
        readings, load = self._readings, self._readings.load
        for name, text, value in (
            ("streams_open", "Requests under way, of all workers.", load.streams),
            (
                "upstream_connections",
                "Connections to Anthropic, in use or kept open, of all workers.",
                load.connections,
            ),
            (
                "log_rows_waiting",
                "Log rows that are not in the database yet, of all workers.",
                load.waiting,
            ),
            (
                "database_readable",
                "Whether the database can be read; names and tokens are as of before if not.",
                readings.stored.readable,
            ),
            (
                "tokens_ready",
                "Access tokens that could serve a request for any model.",
                len(readings.ready),
            ),
        ):
            yield GaugeMetricFamily(f"airoxy_{name}", text, value)
        yield CounterMetricFamily(
            "airoxy_log_rows_dropped",
            "Log rows that are lost, because too many waited for the database.",
            readings.dropped,
        )
        yield CounterMetricFamily(
            "airoxy_invalid_keys",
            "Requests without a valid client key.",
            readings.refused,
        )
        family = CounterMetricFamily(
            "airoxy_refused_connections",
            "Connections without a valid client key that were refused or closed to make room.",
            labels=("reason",),
        )
        for reason, count in readings.refused_connections.items():
            family.add_metric([reason], count)
        yield family

    def _tokens(self) -> Iterator[Metric]:
        for each in _TOKEN_GAUGES:
            family = GaugeMetricFamily(each.name, each.text, labels=("token",))
            for token in self._readings.stored.tokens:
                value = each.take(token, token["id"] in self._readings.ready)
                if value is not None:
                    family.add_metric([token["name"]], value)
            yield family

    def _quota(self, name: str, text: str, field: str) -> Metric:
        family = GaugeMetricFamily(name, text, labels=("token", "window"))
        for token in self._readings.stored.tokens:
            for window in token["quota"]:
                family.add_metric([token["name"], window["window"]], window[field])
        return family

    def _cooling(self, classes: Collection[str]) -> Metric:
        """The metric that 1.0 had."""
        family = GaugeMetricFamily(
            _COOLING,
            "Until when the token cools down for Messages with a class of models (Unix time).",
            labels=("token", "model_class"),
        )
        until: dict[tuple[str, str], float] = {}
        for name, group, named, end in self._cooldown_ends(classes):
            if group in ("messages", EVERY_GROUP):
                until[name, named] = max(end, until.get((name, named), 0.0))
        for labels, end in until.items():
            family.add_metric(labels, end)
        return family

    def _cooldowns(self, classes: Collection[str]) -> Metric:
        family = GaugeMetricFamily(
            _COOLDOWN,
            "Until when the token cools down for an endpoint group and a class of models (Unix"
            " time).",
            labels=("token", "endpoint_group", "model_class"),
        )
        until: dict[tuple[str, str, str], float] = {}
        for name, group, named, end in self._cooldown_ends(classes):
            until[name, group, named] = max(end, until.get((name, group, named), 0.0))
        for labels, end in until.items():
            family.add_metric(labels, end)
        return family

    def _cooldown_ends(self, classes: Collection[str]) -> Iterator[tuple[str, str, str, float]]:
        """Token, endpoint group, class of models, end. Some client may have made up the class of
        any but the models that have a price or were charged for."""
        for token in self._readings.stored.tokens:
            for cooling in token["coolings"]:
                named = cooling["model_class"]
                named = named if named in classes or named == EVERY_CLASS else OTHER
                yield token["name"], cooling["group"], named, cooling["until"]

    def _exhausted(self, classes: Collection[str]) -> Metric:
        family = GaugeMetricFamily(
            "airoxy_all_tokens_cooling",
            "1 while every token cools down for this, so that such requests are refused.",
            labels=("scope",),
        )
        scopes = {
            str(scope) or "everything"
            if scope.model_class in classes or scope.model_class == EVERY_CLASS
            else OTHER
            for scope in self._readings.exhausted
        }
        for scope in sorted(scopes):
            family.add_metric([scope], 1)
        return family

    def _names(self, outcome: CounterLabels) -> dict[str, str]:
        """The value of each of _LABELS."""
        if outcome.ending == OTHER:
            return dict.fromkeys(_LABELS, OTHER)
        stored = self._readings.stored
        key = stored.keys.get(outcome.key_id, f"#{outcome.key_id}")
        group = stored.groups.get(outcome.group_id, f"#{outcome.group_id}")
        token = stored.token_names.get(outcome.token_id, f"#{outcome.token_id}")
        return {
            "key": key,
            "group": group if outcome.group_id else NONE,
            "token": token if outcome.token_id else NONE,
            "model": outcome.model or NONE,
            "status": str(outcome.status),
            "ending": outcome.ending,
        }


_Named = list[tuple[dict[str, str], CounterValues]]


def _counter(counter: _Counter, named: _Named) -> Metric:
    sums: dict[tuple[str, ...], int] = {}
    for labels, counts in named:
        if any(counts.sums.values()) or not counter.used:
            series = tuple(labels[label] for label in counter.labels)
            sums[series] = sums.get(series, 0) + counter.take(counts)
    family = CounterMetricFamily(counter.name, counter.text, labels=counter.labels)
    for series, amount in sums.items():
        family.add_metric(series, amount / counter.unit)
    return family


def _usage(named: _Named) -> Metric:
    whose = ("key", "group", "token", "model")
    sums: dict[tuple[str, ...], int] = {}
    for labels, counts in named:
        if any(counts.sums.values()):
            for each in USAGE:
                if each.is_token:
                    series = (*(labels[label] for label in whose), each.metric)
                    sums[series] = sums.get(series, 0) + counts.sums[each.name]
    family = CounterMetricFamily(
        "airoxy_usage_tokens",
        "Tokens that Anthropic has counted.",
        labels=(*whose, "kind"),
    )
    for labelled, amount in sums.items():
        family.add_metric(labelled, amount)
    return family


def _histogram(histogram: _Histogram, named: _Named) -> Metric:
    sums: dict[str, list[int]] = {}
    for labels, counts in named:
        model = labels["model"]
        sums[model] = _added(sums.get(model), histogram.take(counts))
    family = HistogramMetricFamily(histogram.name, histogram.text, labels=("model",))
    for model, (*counts_, total) in sums.items():
        buckets = list(zip(_LE, map(float, accumulate(counts_)), strict=True))
        family.add_metric([model], buckets, total / 1000)
    return family


def _added(sums: Sequence[int] | None, more: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(sums, more, strict=True)] if sums else list(more)
