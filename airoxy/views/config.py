"""The configuration in force as it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, tzinfo
from pathlib import Path
from typing import Any

from airoxy.config import SCHEMA, Config
from airoxy.config.recipients import HiddenUrl


def document(config: Config) -> dict[str, Any]:
    """All settings, in sections as in the file."""
    found: dict[str, Any] = {}
    for setting in SCHEMA:
        *section, name = setting.key.split(".")
        holder = found.setdefault(section[0], {}) if section else found
        holder[name] = plain(config.value(setting.key))
    return found


def plain(value: object) -> object:
    """The value in JSON's types, without what is secret in it."""
    if isinstance(value, HiddenUrl):
        return value.shown
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, (Path, date, tzinfo)) else value
