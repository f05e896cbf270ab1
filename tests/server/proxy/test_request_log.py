"""What a request leaves in the account."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from airoxy.config import shipped_prices
from airoxy.core.billing.cost_inputs import parts_of
from airoxy.core.billing.pricing import cost_nanousd
from airoxy.server.proxy.request_log import RequestLog
from airoxy.store.usage.requests import Row, without_counts
from tests.conftest import NOON

OPUS = "claude-opus-5-5"


def answered(usage: dict[str, Any]) -> Row:
    """The row of a request with this answer."""
    request_log = RequestLog(1, "/v1/messages", NOON)
    request_log.model = OPUS
    feed = request_log.answered(200, {b"content-type": b"application/json"})
    feed(json.dumps({"type": "message", "model": OPUS, "usage": usage}).encode())
    return request_log.row(shipped_prices())


def test_a_plain_answer_keeps_no_cost_inputs() -> None:
    row = answered({"input_tokens": 1000, "output_tokens": 10, "service_tier": "standard"})
    assert (row.cost_nanousd, row.cost_inputs) == (4_200_000, None)


@pytest.mark.parametrize(
    "usage",
    [
        {"service_tier": "batch"},
        {"inference_geo": "us"},
        {"speed": "fast"},
        {"iterations": [{"model": "claude-haiku-5-5", "input_tokens": 5}, {"input_tokens": 7}]},
    ],
)
def test_what_else_its_cost_follows_from_stays_with_the_row(usage: dict[str, Any]) -> None:
    row = answered({"input_tokens": 1000, "output_tokens": 10} | usage)
    assert row.cost_inputs
    today = date(2026, 11, 22)
    assert cost_nanousd(parts_of(row.cost_inputs), shipped_prices(), today) == row.cost_nanousd


def test_what_is_not_counted_again_has_nothing_to_compute_from() -> None:
    row = without_counts(answered({"input_tokens": 1000, "service_tier": "batch"}))
    assert (row.cost_nanousd, row.cost_inputs) == (0, None)
