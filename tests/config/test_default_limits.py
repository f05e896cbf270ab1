"""The limits that new client keys are given, as they are written in the configuration."""

from __future__ import annotations

import pytest

from airoxy.config import load_config
from airoxy.core.limits.table import LIMITS
from tests.config.conftest import Complaints, Write


@pytest.mark.parametrize(
    ("written", "limits"),
    [
        ("{}", {}),
        ("", {}),
        ("{spend_per_day: 2.50}", {"spend_per_day": "2.50"}),
        ("{models: [a-*, b], concurrent: 3}", {"models": "a-*,b", "concurrent": "3"}),
        ("{expires: 2027-03-31}", {"expires": "2027-03-31"}),
        ("{share_resources: all}", {"share_resources": "all"}),
    ],
)
def test_limits_are_kept_as_their_options_take_them(write: Write, written, limits) -> None:
    assert load_config(write(f"defaults:\n  limits: {written}\n")).defaults.limits == limits


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_every_limit_can_be_a_default(write: Write, limit) -> None:
    value = {
        "from": "192.0.2.0/24",
        "expires": "30d",
        "paths": "/v1/agents*",
        "share-resources": "all",
    }
    name = limit.option[2:]
    text = f"defaults:\n  limits:\n    {name.replace('-', '_')}: {value.get(name, '7')}\n"
    assert load_config(write(text)).defaults.limits


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("5", "5 is not a mapping"),
        ("[spend_per_day]", "a list is not a mapping"),
        ("{spend: 5}", "has spend in it, which is none of spend_per_day, spend_per_week,"),
        ("{spend_per_day: -1}", "has a wrong spend_per_day in it: -1 is less than nothing"),
        ("{spend_per_day: yes}", "has yes (to YAML a truth value) as spend_per_day"),
        ("{spend_per_day: {a: 1}}", "has a mapping as spend_per_day"),
        ("{concurrent: 1, concurrent: 2}", "has concurrent twice in it"),
    ],
)
def test_what_is_no_limit_is_a_mistake(complaints: Complaints, written, why) -> None:
    (said,) = complaints(f"defaults:\n  limits: {written}\n")
    assert said.startswith("F:2: defaults.limits: ")
    assert why in said
    assert "give limits like {spend_per_month: 50" in said
