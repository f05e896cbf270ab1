"""Patterns for names of models and for paths: `*` is any text and `?` any character."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_translated, globs)), re.DOTALL)


def matches(globs: tuple[str, ...], name: str) -> bool:
    """Whether any of `globs` is for the whole name."""
    return bool(globs) and _pattern(globs).fullmatch(name) is not None


def _translated(glob: str) -> str:
    """What a `*` has passed over is not gone back to, so that no name takes long."""
    first, *others = (
        "".join("." if letter == "?" else re.escape(letter) for letter in fixed)
        for fixed in glob.split("*")
    )
    if not others:
        return first
    return first + "".join(f"(?>.*?{fixed})" for fixed in others[:-1]) + ".*" + others[-1]
