"""The metrics as text in Prometheus's formats, family by family.

Invariant: labels are names of keys, tokens and models, never anything secret; equal labels are one
series. Only this module imports prometheus_client, and it is imported with the first request: it
takes 1.4 MB of a worker, and most installations are never asked.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.core.pool import EVERY_CLASS, EVERY_GROUP, model_class
from airoxy.server.metrics.counters import BOUNDS, OTHER, CounterLabels, CounterValues
from airoxy.server.metrics.readings import Readings, Stored

#: Where there is no key, token or model.
NONE = "none"

_LABELS = ("key", "group", "token", "model", "status", "ending")
_LE = (*(str(bound / 1000) for bound in BOUNDS), "+Inf")

#: Name, text and value, all of it of all workers.
_SERVICE: tuple[tuple[type[Any], str, str, Callable[[Readings], float]], ...] = (
    (GaugeMetricFamily, "streams_open", "Requests under way, of all workers.",
     lambda readings: readings.load.streams),
    (GaugeMetricFamily, "upstream_connections",
     "Connections to Anthropic, in use or kept open, of all workers.",
     lambda readings: readings.load.connections),
    (GaugeMetricFamily, "log_rows_waiting",
     "Log rows that are not in the database yet, of all workers.",
     lambda readings: readings.load.waiting),
    (GaugeMetricFamily, "database_readable",
     "Whether the database can be read; names and tokens are as of before if not.",
     lambda readings: readings.stored.readable),
    (GaugeMetricFamily, "tokens_ready", "Access tokens that could serve a request for any model.",
     lambda readings: len(readings.ready)),
    (CounterMetricFamily, "log_rows_dropped",
     "Log rows that are lost, because too many waited for the database.",
     lambda readings: readings.dropped),
    (CounterMetricFamily, "invalid_keys", "Requests without a valid client key.",
     lambda readings: readings.refused),
)  # fmt: skip
_OF_FLEET = (
    ("hosts", "Hosts of the fleet, as far as this one knows."),
    ("rows_waiting", "Rows of this host's usage log that the fleet does not have yet."),
    ("seconds_since_contact", "Since this host's agent has met the fleet; +Inf: never."),
)
#: Name and text; the value is of a row of `tokens.list_tokens` and whether it is ready; None is no
#: series.
_TOKEN_GAUGES: tuple[tuple[str, str, Callable[[Mapping[str, Any], bool], float | None]], ...] = (
    ("ready", "Whether the token could serve a request for any model.", lambda _, ready: ready),
    ("refused", "Whether the token is off because Anthropic refused it.",
     lambda token, _: token["inactive_reason"] is not None),
    ("refresh_failures", "How often in a row refreshing the OAuth token was refused.",
     lambda token, _: token["refresh_failures"] if token["type"] == "oauth" else None),
    ("expires_timestamp_seconds",
     "When the access token of an active OAuth token expires (Unix time).",
     lambda token, _: token["expires_at"] if token["is_active"] else None),
)  # fmt: skip
_QUOTA = (
    ("used_ratio", "The share of a quota window that is used.", "used"),
    ("reset_timestamp_seconds", "When a quota window begins anew (Unix time).", "resets_at"),
)


class _Counter(NamedTuple):
    """By those of _LABELS, and by `kind`; `fields` are what is summed, each with its kind, and
    `unit` how many of that make one."""

    name: str
    text: str
    labels: tuple[str, ...]
    fields: Mapping[str, str]
    unit: float = 1


#: What there is a series of even where nothing was used.
_ALWAYS = ("requests", "failovers")
_COUNTERS = (
    _Counter(
        "requests", "Requests with a valid key that have ended.", _LABELS, {"requests": ""}
    ),
    _Counter(
        "failovers", "Attempts at requests beyond the first, by the token that was tried last.",
        ("token",), {"failovers": ""},
    ),
    *(
        _Counter(
            each.metric, f"{each.label} that Anthropic has counted.",
            ("key", "token", "model"), {each.name: ""},
        )
        for each in USAGE
        if not each.is_token
    ),
    _Counter(
        "estimated_requests",
        "Requests whose output is airoxy's estimate, because the answer ended before its counts.",
        ("key", "token", "model"), {"is_estimate": ""},
    ),
    _Counter(
        "uncounted_requests", "Requests that cost money which airoxy cannot count.",
        ("key", "token", "model"), {"uncounted": ""},
    ),
    _Counter(
        "cost_dollars", "Estimated cost in US dollars.",
        ("key", "group", "token", "model"), {"cost_nanousd": ""}, unit=1e9,
    ),
    _Counter(
        "usage_tokens", "Tokens that Anthropic has counted.",
        ("key", "group", "token", "model", "kind"),
        {each.name: each.metric for each in USAGE if each.is_token},
    ),
)  # fmt: skip
_HISTOGRAMS: tuple[tuple[str, str, Callable[[CounterValues], tuple[int, ...]]], ...] = (
    ("time_to_first_byte_seconds", "Time from a request to the head of its answer.",
     lambda counts: counts.ttfb),
    ("request_duration_seconds", "Time from a request to the end of its answer.",
     lambda counts: counts.duration),
)  # fmt: skip

_Named = list[tuple[dict[str, str], CounterValues]]


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
        readings, counted = self._readings, self._readings.counted
        yield InfoMetricFamily(
            "airoxy_build",
            "Versions of airoxy and of its Python.",
            {"version": __version__, "python": platform.python_version()},
        )
        for kind, name, text, value in _SERVICE:
            yield _family(kind, name, text, (), [((), value(readings))])
        yield _family(
            CounterMetricFamily, "refused_connections",
            "Connections without a valid client key that were refused or closed to make room.",
            ("reason",), (([why], count) for why, count in readings.refused_connections.items()),
        )  # fmt: skip
        yield from _fleet(readings.stored)
        yield from self._tokens()
        classes = {
            EVERY_CLASS,
            *readings.classes,
            *(model_class(each.model) for each, _ in counted),
        }
        yield from self._cooldowns(classes)
        yield self._exhausted(classes)
        yield from self._quota()
        named = [(self._names(outcome), counts) for outcome, counts in counted if counts.requests]
        yield from (_counter(each, named) for each in _COUNTERS)
        for name, text, take in _HISTOGRAMS:
            yield _family(HistogramMetricFamily, name, text, ("model",), _times(named, take))

    def describe(self) -> Sequence[Metric]:
        """Nothing is asked when it is registered."""
        return ()

    def _tokens(self) -> Iterator[Metric]:
        tokens, ready = self._readings.stored.tokens, self._readings.ready
        for name, text, take in _TOKEN_GAUGES:
            values = [([each["name"]], take(each, each["id"] in ready)) for each in tokens]
            known = (value for value in values if value[1] is not None)
            yield _family(GaugeMetricFamily, f"token_{name}", text, ("token",), known)

    def _quota(self) -> Iterator[Metric]:
        for name, text, field in _QUOTA:
            yield _family(
                GaugeMetricFamily, f"token_quota_{name}", text, ("token", "window"),
                (
                    ([token["name"], window["window"]], window[field])
                    for token in self._readings.stored.tokens
                    for window in token["quota"]
                ),
            )  # fmt: skip

    def _cooldowns(self, classes: Collection[str]) -> Iterator[Metric]:
        """That which 1.0 had, and the one that has groups. Some client may have made up the class
        of any but the models that have a price or were charged for."""
        ends = [
            (token["name"], cooling["group"], named if named in classes else OTHER,
             cooling["until"])
            for token in self._readings.stored.tokens
            for cooling in token["coolings"]
            for named in (cooling["model_class"],)
        ]  # fmt: skip
        yield _family(
            GaugeMetricFamily, "token_cooling_until_timestamp_seconds",
            "Until when the token cools down for Messages with a class of models (Unix time).",
            ("token", "model_class"),
            _latest(
                ((name, named), end)
                for name, group, named, end in ends
                if group in ("messages", EVERY_GROUP)
            ),
        )  # fmt: skip
        yield _family(
            GaugeMetricFamily, "token_cooldown_until_timestamp_seconds",
            "Until when the token cools down for an endpoint group and a class of models (Unix"
            " time).",
            ("token", "endpoint_group", "model_class"),
            _latest(((name, group, named), end) for name, group, named, end in ends),
        )  # fmt: skip

    def _exhausted(self, classes: Collection[str]) -> Metric:
        scopes = {
            (str(scope) or "everything") if scope.model_class in classes else OTHER
            for scope in self._readings.exhausted
        }
        return _family(
            GaugeMetricFamily, "all_tokens_cooling",
            "1 while every token cools down for this, so that such requests are refused.",
            ("scope",), (([scope], 1) for scope in sorted(scopes)),
        )  # fmt: skip

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


def _family(
    kind: type[Any], name: str, text: str, labels: Sequence[str], samples: Iterable[Sequence[Any]]
) -> Metric:
    """`samples` are each the labels of a series, and what it has."""
    family: Metric = kind(f"airoxy_{name}", text, labels=labels)
    for sample in samples:
        family.add_metric(*sample)  # type: ignore[attr-defined]
    return family


def _fleet(stored: Stored) -> Iterator[Metric]:
    """Nothing where the host is alone."""
    if (fleet := stored.fleet) is None:
        return
    for name, text in _OF_FLEET:
        value = math.inf if fleet[name] is None else fleet[name]
        yield _family(GaugeMetricFamily, f"fleet_{name}", text, (), [((), value)])
    yield _family(
        GaugeMetricFamily, "fleet_share_ratio",
        "The part of a limit of a key, group or token that this host of the fleet may use.",
        ("key", "group", "token", "limit"),
        (
            (
                [
                    stored.keys.get(number, ""),
                    stored.groups.get(number - GROUPS_FROM, ""),
                    stored.token_names.get(-number, ""),
                    limit,
                ],
                ratio,
            )
            for (number, limit), ratio in stored.shares.items()
        ),
    )  # fmt: skip


def _latest(ends: Iterable[tuple[tuple[str, ...], float]]) -> Iterable[Sequence[Any]]:
    """Of each series the latest end."""
    until: dict[tuple[str, ...], float] = {}
    for labels, end in ends:
        until[labels] = max(end, until.get(labels, 0.0))
    return until.items()


def _counter(counter: _Counter, named: _Named) -> Metric:
    sums: dict[tuple[str, ...], int] = {}
    for labels, counts in named:
        amounts = {
            "requests": counts.requests, "failovers": counts.failovers, **counts.sums
        }  # fmt: skip
        used = any(counts.sums.values())
        for field, kind in counter.fields.items():
            if used or field in _ALWAYS:
                told = {**labels, "kind": kind}
                series = tuple(told[label] for label in counter.labels)
                sums[series] = sums.get(series, 0) + amounts[field]
    samples = ((series, amount / counter.unit) for series, amount in sums.items())
    return _family(CounterMetricFamily, counter.name, counter.text, counter.labels, samples)


def _times(
    named: _Named, take: Callable[[CounterValues], tuple[int, ...]]
) -> Iterator[Sequence[Any]]:
    """The buckets and the sum of each model."""
    sums: dict[str, list[int]] = {}
    for labels, counts in named:
        before = sums.get(labels["model"], [0] * (len(_LE) + 1))
        sums[labels["model"]] = [sum(pair) for pair in zip(before, take(counts), strict=True)]
    for model, (*counts_, total) in sums.items():
        yield [model], list(zip(_LE, map(float, accumulate(counts_)), strict=True)), total / 1000
