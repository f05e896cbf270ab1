"""Quota windows as headers have them."""

from __future__ import annotations

import pytest

from airoxy.core.quota import QuotaWindow, families, read_windows, spare_until


def test_each_window_has_its_share_and_its_reset() -> None:
    found = read_windows(
        [
            (b"anthropic-ratelimit-unified-status", b"allowed"),
            (b"anthropic-ratelimit-unified-reset", b"5"),
            (b"anthropic-ratelimit-unified-representative-claim", b"five_hour"),
            (b"anthropic-ratelimit-unified-5h-status", b"allowed"),
            (b"anthropic-ratelimit-unified-5h-utilization", b"0.97"),
            (b"anthropic-ratelimit-unified-5h-reset", b"1795370400"),
            (b"anthropic-ratelimit-unified-7d-utilization", b"0.4"),
            (b"anthropic-ratelimit-unified-7d-reset", b"2026-11-22T18:00:00Z"),
            (b"anthropic-ratelimit-unified-7d_opus-utilization", b"1.02"),
            (b"anthropic-ratelimit-requests-remaining", b"7"),
        ]
    )
    assert found == {
        "5h": QuotaWindow(0.97, 1795370400),
        "7d": QuotaWindow(0.4, 1795370400),
        "7d_opus": QuotaWindow(1.02, 0),
    }


@pytest.mark.parametrize(
    "value", [b"", b"nan", b"inf", b"-0.1", b"much", b"1e999", b"\xff", b"0x1"]
)
def test_what_is_no_share_is_no_window(value: bytes) -> None:
    assert read_windows([(b"anthropic-ratelimit-unified-5h-utilization", value)]) == {}


def test_a_flood_of_windows_is_none() -> None:
    flood = [
        (b"anthropic-ratelimit-unified-%d-utilization" % number, b"0.5") for number in range(1000)
    ]
    assert read_windows(flood) == {}


def test_a_token_is_spared_until_the_last_of_its_full_windows_begins_anew() -> None:
    windows = {"5h": QuotaWindow(0.97, 100), "7d": QuotaWindow(0.96, 900)}
    assert spare_until(windows, 0.95) == {"": 900}
    assert spare_until(windows, 0.965) == {"": 100}
    assert spare_until(windows, 1) == {}


def test_a_window_of_a_family_spares_the_token_for_that_family() -> None:
    windows = {
        "5h": QuotaWindow(0.2, 100),
        "7d_opus": QuotaWindow(0.99, 900),
        "5h_opus": QuotaWindow(1, 100),
        "7d_sonnet": QuotaWindow(0.5, 900),
    }
    assert spare_until(windows, 0.95) == {"opus": 900}


@pytest.mark.parametrize(
    ("model_class", "family", "of_it"),
    [
        ("claude-opus-4", "opus", True),
        ("claude-opus-4", "opus-4", True),
        ("claude-opus-5-5", "", True),
        ("claude-opus-5-5", "sonnet", False),
        ("claude-opus-5-5", "opu", False),
        ("", "", True),
        ("", "opus", False),
        ("*", "opus", False),
    ],
)
def test_a_class_of_models_is_of_the_families_in_its_name(
    model_class: str, family: str, of_it: bool
) -> None:
    assert (family in set(families(model_class))) is of_it


def test_a_name_that_somebody_made_up_has_few_families() -> None:
    assert len(list(families("a-" * 10_000))) < 100
