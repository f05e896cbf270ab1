"""Who is let in: bounds for connections without a valid key, by address and in all."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from airoxy.config import make_config
from airoxy.server.admission import (
    BURST,
    LINES,
    NO_ROOM,
    TOO_MANY_NEW,
    TOO_MANY_OPEN,
    Admission,
    Newcomer,
    admission_to_worker,
)

ONE, OTHER = "192.0.2.1", "192.0.2.2"


class Door:
    """An admission, its clock, and what it has counted."""

    def __init__(self, **bounds: Any) -> None:
        self.now = 1000.0
        self.counted: list[str] = []
        self.admission = Admission(count=self.counted.append, clock=lambda: self.now, **bounds)

    def come(self, count: int = 1, client: str = ONE) -> list[Newcomer]:
        """Those that are let in."""
        came = [self.admission.admit(client) for _ in range(count)]
        return [each for each in came if each is not None]


def test_an_address_may_have_so_many_open_and_another_address_as_many():
    door = Door(per_address=3)
    assert len(door.come(5)) == 3
    assert len(door.come(5, OTHER)) == 3
    assert door.counted == [TOO_MANY_OPEN] * 4


def test_one_that_is_closed_makes_room_for_the_next_and_only_once():
    door = Door(per_address=2)
    first, _ = door.come(2)
    first.end()
    first.end()
    assert len(door.come(3)) == 1


def test_those_that_have_shown_a_key_do_not_count():
    door = Door(per_address=2, per_second=1)
    for _ in range(100):
        for each in door.come(2):
            each.identified()
            each.end()
    assert door.counted == []
    assert len(door.come(3)) == 2


def test_so_many_may_come_in_a_second_and_ten_times_as_many_at_once():
    door = Door(per_second=5)
    for each in door.come(100):
        each.end()
    assert door.counted == [TOO_MANY_NEW] * (100 - 5 * BURST)
    door.now += 2.0
    assert len(door.come(100)) == 10
    door.now += 3600.0
    assert len(door.come(100)) == 5 * BURST


def test_a_network_of_64_bits_is_one_address_and_a_mapped_address_is_of_ipv4():
    door = Door(per_address=2)
    assert [len(door.come(1, f"2001:db8::{n}")) for n in range(3)] == [1, 1, 0]
    assert len(door.come(1, "2001:db8:0:1::1")) == 1
    assert [len(door.come(1, client)) for client in (ONE, f"::ffff:{ONE}", ONE)] == [1, 1, 0]


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", ""])
def test_a_proxy_that_is_trusted_has_no_bound_of_its_own(client):
    trusted = [ip_network(each) for each in ("127.0.0.0/8", "::1/128", "10.0.0.0/8")]
    door = Door(per_address=1, per_second=1, most=1, trusted=trusted)
    for each in door.come(100, client):
        each.give_way = lambda: pytest.fail("it is never closed to make room")
    assert len(door.come(100, client)) == 100
    assert door.counted == []


def test_above_the_most_in_all_those_that_wait_longest_make_room():
    door, closed = Door(most=3), []
    for number in range(6):
        [each] = door.come(1, f"192.0.2.{number}")
        each.give_way = lambda number=number: closed.append(number) is None
    assert closed == [0, 1, 2]
    assert door.counted == [NO_ROOM] * 3


def test_who_is_busy_stays_and_who_has_shown_a_key_is_never_asked():
    door, asked = Door(most=2), []
    known, busy, idle = door.come(3)
    for name, each in (("known", known), ("busy", busy), ("idle", idle)):
        each.give_way = lambda name=name: asked.append(name) is None and name != "busy"
    known.identified()
    door.come(1)
    assert asked == ["busy", "idle"]
    assert busy in door.admission.waiting


def test_addresses_that_left_nothing_behind_are_forgotten():
    door = Door(per_address=5, per_second=10)
    for number in range(20_000):
        for each in door.come(1, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"):
            each.end()
        door.now += 1.0
    assert len(door.admission._addresses) <= 4096
    assert len(door.admission._names) <= 4096


def test_the_journal_names_an_address_once_a_minute_and_has_few_lines(caplog):
    door = Door(per_address=1)
    for number in range(100):
        door.come(4, f"192.0.2.{number}")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == LINES
    assert lines[0] == (
        "Connections from 192.0.2.0 are refused: 1 are open on which no valid API key was shown"
        " (connections.per_address)."
    )
    caplog.clear()
    door.now += 61.0
    door.come(1, "192.0.2.0")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"{300 - LINES} more connections were refused or closed so."
    assert len(lines) == 2


def test_each_worker_has_its_share_and_null_is_no_bound():
    settings = {"connections.per_address": 5, "connections.per_second": None}
    admission = admission_to_worker(make_config(settings), 2, lambda _: None)
    assert (admission.per_address, admission.per_second) == (3, None)
