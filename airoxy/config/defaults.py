"""The limits that a new client key gets where its maker names none."""

from __future__ import annotations

import datetime
from typing import Any

from airoxy.config import Config
from airoxy.core.limits.table import LIMITS
from airoxy.errors import InvalidInput

#: What takes a limit away.
NONE = "none"


def default_limits(config: Config, now: datetime.datetime) -> dict[str, Any]:
    """The limits of `defaults.limits`, by column. Raises InvalidInput."""
    found = {}
    known = {limit.word: limit for limit in LIMITS}
    for name, text in config.defaults.limits.items():
        limit = known[name]
        try:
            gone = limit.unit.has_none and text.strip().lower() == NONE
            found[limit.column] = None if gone else limit.unit.read(text, now)
        except InvalidInput as error:
            raise InvalidInput(f"defaults.limits: {name}: {error.message}.") from None
    return found
