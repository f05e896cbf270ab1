"""The kind of setting that names a time zone."""

from __future__ import annotations

import datetime
import zoneinfo
from dataclasses import dataclass

import yaml

from airoxy.config.kinds import text_of


@dataclass(frozen=True, slots=True)
class TimeZone:
    """A time zone of the system's tzdata; UTC wants none."""

    wanted: str = "a name like Europe/Berlin (`timedatectl list-timezones`), or UTC"

    def read(self, node: yaml.Node) -> datetime.tzinfo:
        name = text_of(node)
        if name == "UTC":
            return datetime.UTC
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(_why_no_zone(name)) from None


def _why_no_zone(name: str) -> str:
    import difflib  # only where there is a mistake

    known = zoneinfo.available_timezones()
    if not known:
        return "cannot be looked up, because this machine has no time zones: apt install tzdata"
    by_folded = {zone.casefold(): zone for zone in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, 1)
    hint = f" (did you mean {by_folded[near[0]]}?)" if near else ""
    # Debian 13 and Ubuntu 24.04 have US/Eastern and the like in a package of their own.
    return f"is no time zone that is installed{hint}; old names are in tzdata-legacy"
