"""Faults of the way to Anthropic, and of the clock."""

from __future__ import annotations

import datetime
from email.utils import format_datetime

import pytest

from airoxy.cli.doctor.finding import FAIL, OK, WARN
from tests.cli.doctor.ward import Ward
from tests.fake_anthropic import FakeAnthropic
from tests.ports import free_port


def test_an_unreachable_upstream_is_a_fault_and_nothing_is_said_of_the_clock(ward: Ward) -> None:
    ward.configure(upstream={"url": f"http://127.0.0.1:{free_port()}"})
    found = ward.complaints()
    assert (found["upstream"].state, found["clock"].state) == (FAIL, WARN)
    assert "connection refused" in found["upstream"].text
    ward.configure(upstream={"url": "https://no-such-host.invalid"})
    assert "name cannot be resolved" in ward.complaints()["upstream"].text


def test_the_proxy_of_the_environment_is_asked(ward: Ward, upstream: FakeAnthropic) -> None:
    ward.configure(upstream={"url": "http://upstream.invalid"})
    installation = ward.installation()
    installation.context.environ = {"http_proxy": upstream.url}
    states = {each.check: each.state for each in ward.examine(installation=installation)}
    assert states["upstream"] == OK


@pytest.mark.parametrize(
    ("off", "state", "words"),
    [(-30, OK, "agrees"), (120, WARN, "behind"), (-4000, FAIL, "ahead of"), (4000, FAIL, "behind")],
)
def test_a_clock_that_is_off_is_told(
    ward: Ward, upstream: FakeAnthropic, off: float, state: str, words: str
) -> None:
    there = datetime.datetime.fromtimestamp(ward.now + off, datetime.UTC)
    date = format_datetime(there, usegmt=True)
    answer = f"HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"
    upstream.script(times=None).raw(answer.encode())
    found = {each.check: each for each in ward.examine()}["clock"]
    assert (found.state, words in found.text) == (state, True)


def test_an_answer_without_a_date_says_nothing_of_the_clock(
    ward: Ward, upstream: FakeAnthropic
) -> None:
    upstream.script().raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert ward.complaints()["clock"].state == WARN
