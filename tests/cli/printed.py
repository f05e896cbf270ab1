"""Whether what `--json` prints is what is described of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airoxy.views.json_fields import JsonDocument


def unlike(document: JsonDocument, printed: Mapping[str, Any]) -> set[str]:
    """The fields that are printed and not described, or described and not printed."""
    found = set(_paths(document.fields, printed))
    missing = {
        name
        for name in document.fields
        if name not in found
        and not any(f"{name}.".startswith(f"{each}.") for each in document.optional)
    }
    return (found - set(document.fields)) | missing


def _paths(described: Iterable[str], printed: Mapping[str, Any], outer: str = "") -> Iterator[str]:
    """The names of what is printed, with those of the objects within, where they are described."""
    for name, value in printed.items():
        yield (path := outer + name)
        if not (below := [each for each in described if each.startswith(f"{path}.")]):
            continue
        inner = [each for each in (value if isinstance(value, list) else [value]) if each]
        if not inner:
            yield from below  # nothing is there that could be compared
        for each in inner:
            yield from _paths(below, each, f"{path}.")
