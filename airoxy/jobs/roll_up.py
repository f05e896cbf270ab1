"""Rolls up the daily sums of the days that are over, in short transactions."""

from __future__ import annotations

import datetime
import time

import apsw

from airoxy.jobs.slices import Pause, in_slices
from airoxy.store.usage.rollups import roll


def roll_up(db: apsw.Connection, today: datetime.date, pause: Pause = time.sleep) -> int:
    """How many sums of days before `today` were rolled up. May be killed and run again."""
    return in_slices(db, lambda most: roll.roll_up(db, today, most), pause)
