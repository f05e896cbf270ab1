"""The shares of one host of an upstream token's limits."""

from __future__ import annotations

from airoxy.core.limits.shares import share_of_token
from airoxy.core.pool import OwnLimits, Token


def test_a_tokens_own_limits_are_divided():
    token = Token(1, "work", "api_key", "x", None, 0, limits=OwnLimits(10, None, 1))
    assert share_of_token(token, 3).limits == OwnLimits(3, None, 1)
    assert share_of_token(token, 1) is token
