"""How times and names look to a person, and what name may be given."""

from __future__ import annotations

import argparse
import datetime

NAME_LENGTH = 64


def name_argument(text: str) -> str:
    """A name for a key or token: it will stand in tables and logs."""
    name = text.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise argparse.ArgumentTypeError(f"a name is 1 to {NAME_LENGTH} printable characters")
    return name


def moment(seconds: float | None) -> str:
    """A Unix time as "2026-11-22 17:18" (UTC), or a dash."""
    if not seconds:
        return "-"
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def moment_of_day(seconds: float) -> str:
    """A Unix time as "17:18:44" (UTC)."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """A length of time in its two largest units: "3d 4h", "59m 10s"."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    left = max(0, round(seconds))
    parts: list[str] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count}{name}")
    return " ".join(part for part in parts[:2] if not part.startswith("0")) or "0s"


def past(seconds: float | None, now: float) -> str:
    """How long ago a Unix time was, or "never"."""
    return f"{span(now - seconds)} ago" if seconds else "never"
