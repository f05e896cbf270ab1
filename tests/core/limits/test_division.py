"""A limit is divided by demand, and never given out twice."""

from __future__ import annotations

import random

import pytest

from airoxy.core.limits.division import HostShare, Part, divide, first_share


def test_who_is_asked_gets_nearly_all_and_nobody_is_left_with_nothing():
    idle = Part(0, 0)
    busy = divide(1000, 3, Part(0, 0, 10.0), [idle, idle])
    assert busy == 900
    assert divide(1000, 3, idle, [Part(busy, 0, 10.0), idle]) == 50


def test_demand_decides_of_what_is_left_not_of_what_was_used():
    assert divide(1000, 2, Part(500, 500, 1.0), [Part(100, 100, 1.0)]) == 700


def test_nobody_takes_what_another_has():
    assert divide(1000, 2, Part(200, 0, 9.0), [Part(800, 0)]) == 200


def test_what_was_used_is_kept_where_it_is_more_than_there_is():
    assert divide(1000, 2, Part(600, 600, 9.0), [Part(800, 800, 1.0)]) == 600
    assert divide(100, 2, Part(600, 600, 9.0), []) == 600


def test_where_nobody_is_asked_what_is_left_is_everybodys_alike():
    assert divide(900, 3, Part(900, 0), [Part(0, 0), Part(0, 0)]) == 300


def test_a_share_of_a_limit_that_was_lowered_is_lower_as_well():
    assert HostShare(30, 100).within(10) == 3
    assert HostShare(30, 100).within(500) == 30


@pytest.mark.parametrize("seed", range(20))
def test_however_demand_turns_the_shares_are_never_more_than_the_limit(seed):
    chance = random.Random(seed)
    limit, hosts = chance.randrange(1, 10**9), chance.randrange(1, 9)
    parts = [Part(first_share(limit, hosts), 0) for _ in range(hosts)]
    for _ in range(200):
        number = chance.randrange(hosts)
        share, used, _ = parts[number]
        used += chance.randrange(max(1, share - used + 1))
        mine = Part(share, used, chance.choice([0.0, 1.0, 50.0]))
        others = [part for n, part in enumerate(parts) if n != number]
        parts[number] = mine._replace(share=divide(limit, hosts, mine, others))
        assert parts[number].share >= used
        assert sum(part.share for part in parts) <= limit


def test_each_host_has_one_request_even_of_a_limit_that_another_uses_up():
    busy = divide(10, 3, Part(4, 4, 9.0), [Part(3, 0), Part(3, 0)], least=1)
    assert busy == 4
    assert divide(10, 3, Part(3, 0), [Part(4, 4, 9.0), Part(3, 0)], least=1) == 1
    assert divide(10, 3, Part(4, 4, 9.0), [Part(1, 0), Part(0, 0)], least=1) == 8
    assert divide(10, 3, Part(4, 4, 9.0), [Part(1, 0)], least=1) == 8
    assert divide(2, 3, Part(0, 0), [Part(1, 1), Part(1, 1)], least=1) == 1
    assert first_share(2, 3, least=1) == 1


def test_of_a_small_limit_nothing_is_lost_by_rounding():
    assert divide(4, 1, Part(2, 2, 7.3), [], least=1) == 4
    assert divide(3, 3, Part(1, 0), [Part(1, 0), Part(1, 0)], least=1) == 1


@pytest.mark.parametrize("seed", range(20))
def test_what_is_used_in_a_minute_stays_within_the_limit_however_demand_turns(seed):
    chance = random.Random(seed)
    hosts = chance.randrange(1, 9)
    limit = chance.randrange(hosts, 200)
    parts = [Part(first_share(limit, hosts, 1), 0) for _ in range(hosts)]
    for _ in range(300):
        number = chance.randrange(hosts)
        share = max(1, parts[number].share)
        mine = Part(share, chance.randrange(share + 1), chance.choice([0.0, 1.0, 50.0]))
        others = [part for n, part in enumerate(parts) if n != number]
        parts[number] = mine._replace(share=divide(limit, hosts, mine, others, 1))
        assert parts[number].share >= max(1, mine.used)
        assert sum(max(1, part.share) for part in parts) <= limit
