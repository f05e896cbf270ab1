"""The blocks of the usage log (`store.usage.first_tables`), one by one.

Each is found with one look into their table, which has an entry for every client key and token of
every block: DISTINCT would read all of them, a million in a million requests of many keys.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations


def each_block(order: str = "DESC", before: str = "TRUE", go_on: str = "TRUE") -> str:
    """A WITH clause that makes the table `each_block (block)`: those for which `before` holds, from
    the newest on, or with "ASC" from the oldest on, as long as `go_on` holds. Both are SQL."""
    farthest, beyond = ("max", "<") if order == "DESC" else ("min", ">")
    return (
        f"WITH RECURSIVE each_block (block) AS (SELECT {farthest}(block) FROM blocks WHERE {before}"
        f" UNION ALL SELECT (SELECT {farthest}(b.block) FROM blocks AS b"
        f" WHERE b.block {beyond} each_block.block)"
        f" FROM each_block WHERE each_block.block IS NOT NULL AND {go_on}) "
    )
