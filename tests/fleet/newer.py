"""The command of an airoxy to come, whose fleet's tables have had a step more than this one's."""

from __future__ import annotations

import sys

from airoxy.cli import main
from airoxy.fleet import schema

schema.STEPS += (
    "CREATE TABLE airoxy.later (id int PRIMARY KEY);"
    "ALTER TABLE airoxy.hosts ADD COLUMN region text NOT NULL DEFAULT ''",
)

if __name__ == "__main__":
    sys.exit(main())
