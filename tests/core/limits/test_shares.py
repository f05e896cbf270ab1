"""The shares of one host of an upstream token's limits."""

from __future__ import annotations

from airoxy.core.limits.division import HostShare
from airoxy.core.limits.shares import share_of_token
from airoxy.core.pool import OwnLimits, Token

TOKEN = Token(1, "work", "api_key", "x", None, 0, limits=OwnLimits(10, None, 1))


def test_the_shares_of_a_host_are_its_limits():
    shares = {"day": HostShare(7, 10), "running": HostShare(0, 1)}
    assert share_of_token(TOKEN, 3, shares).limits == OwnLimits(7, None, 1)


def test_a_limit_that_was_lowered_holds_before_it_is_divided_anew():
    assert share_of_token(TOKEN, 3, {"day": HostShare(10, 20)}).limits == OwnLimits(5, None, 1)


def test_what_was_not_divided_yet_is_divided_equally():
    assert share_of_token(TOKEN, 3, {}).limits == OwnLimits(3, None, 1)


def test_a_host_that_is_alone_has_all():
    assert share_of_token(TOKEN, 0, {}) is TOKEN
