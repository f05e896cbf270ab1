"""Patterns for names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.limits.globs import matches
from airoxy.core.limits.table import Limits


@pytest.mark.parametrize(
    ("globs", "model", "allowed"),
    [
        ((), "anything", True),
        (("claude-haiku-*",), "claude-haiku-4-5", True),
        (("claude-haiku-*",), "claude-opus-5-5", False),
        (("claude-haiku-*",), "my-claude-haiku-4-5", False),
        (("claude-opus-5-5",), "claude-opus-5-5-20260101", False),
        (("claude-opus-*", "*haiku*"), "claude-3-haiku", True),
        (("claude-?-haiku",), "claude-3-haiku", True),
        (("claude-?-haiku",), "claude-35-haiku", False),
        (("*",), "", True),
        (("a*b*c",), "axxbyybzzc", True),
        (("a*b*c",), "axxcb", False),
        (("claude.x",), "claude-x", False),
        (("claude-opus-5-5[1m]",), "claude-opus-5-5[1m]", True),
        (("claude-opus-5-5[1m]",), "claude-opus-5-51", False),
        (("claude-*",), "claude-\nx", True),
        (("claude-x",), "claude-x\n", False),
    ],
)
def test_globs_are_for_whole_names(globs, model, allowed):
    assert Limits(models=globs).allows(model) is allowed


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_globs_mean_what_they_mean_elsewhere(glob, name):
    from fnmatch import fnmatchcase

    assert matches((glob or "a",), name) is fnmatchcase(name, glob or "a")


def test_no_name_takes_long():
    assert not matches(("*a" * 40 + "b",), "a" * 200)
