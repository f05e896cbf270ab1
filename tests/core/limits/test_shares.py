"""The shares of one host."""

from __future__ import annotations

from airoxy.core.limits.holders import of_key
from airoxy.core.limits.shares import share_of_holder, share_of_token
from airoxy.core.limits.table import Limits
from airoxy.core.pool import OwnLimits, Token


def test_a_host_may_always_have_one_request():
    limits = Limits(requests_per_minute=2, concurrent_requests=1, tokens_per_minute=100)
    shared = share_of_holder(of_key(1, limits), 3).limits
    assert (shared.requests_per_minute, shared.concurrent_requests) == (1, 1)
    assert shared.tokens_per_minute == 33


def test_what_is_not_counted_and_money_is_not_divided_here_and_alone_nothing_is():
    holder = of_key(1, Limits(models=("a",), expires_at=90, spend_per_day=9))
    assert share_of_holder(holder, 3) is holder
    rates = of_key(1, Limits(requests_per_minute=9))
    assert share_of_holder(rates, 1) is share_of_holder(rates, 0) is rates


def test_a_refusal_says_that_it_is_a_share():
    assert share_of_holder(of_key(1, Limits(requests_per_minute=9)), 3).subject == (
        "On this one of 3 hosts, this API key"
    )


def test_a_tokens_own_limits_are_divided():
    token = Token(1, "work", "api_key", "x", None, 0, limits=OwnLimits(10, None, 1))
    assert share_of_token(token, 3).limits == OwnLimits(3, None, 1)
    assert share_of_token(token, 1) is token
