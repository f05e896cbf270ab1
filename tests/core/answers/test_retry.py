"""The header retry-after."""

from __future__ import annotations

import pytest

from airoxy.core.answers.retry import retry_after_seconds

#: Sunday, 22 November 2026, 12:00 UTC.
NOON = 1795348800.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"30", 30),
        ("30", 30),
        (b" 0 ", 0),
        (b"1.5", 1.5),
        (b"86400", 86400),
        (b"Sun, 22 Nov 2026 12:00:30 GMT", 30),
        (b"Sunday, 22-Nov-26 12:00:30 GMT", 30),
        (b"Sun Nov 22 12:00:30 2026", 30),
        (b"Sun, 22 Nov 2026 11:00:00 GMT", 0),
    ],
)
def test_seconds_and_dates_are_understood(value: bytes | str, seconds: float) -> None:
    assert retry_after_seconds(value, NOON) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"\0", b"-1", b"+1", b"soon", b"nan", b"inf", b"1e3", b"1_000", b"0x10", b"1,5",
        b"9" * 400,        "٣", b"\xb2", b"30 s", b"Sun, 31 Nov 2026 12:00:30 GMT",
        b"2026-11-22T12:00:30Z",
    ],
)  # fmt: skip
def test_anything_else_is_nothing(value: bytes | str | None) -> None:
    assert retry_after_seconds(value, NOON) is None
