"""Which requests of the usage log are wanted, as SQL and by themselves."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

#: A request that failed, as the sums count it.
ENDED_BADLY = ("upstream_failed", "worker_killed")
FAILED = f"status_code >= 400 OR ending IN {ENDED_BADLY}"


class Filter(NamedTuple):
    """Which requests are wanted; None is any. Times are milliseconds, from `since_ms` on and before
    `until_ms`; `statuses` are pairs, from the first to before the second; `model` is a glob, or
    several with commas, and `request_id` Anthropic's or airoxy's own."""

    token_id: int | None = None
    key_id: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    failed: bool | None = None
    statuses: tuple[int, ...] | None = None
    model: str | None = None
    request_id: str | None = None
    group_id: int | None = None

    @property
    def only_failed(self) -> bool:
        """Whether a request that is wanted has failed."""
        return bool(self.failed) or (bool(self.statuses) and min(self.statuses or ()) >= 400)

    def of_blocks(self) -> dict[str, Any]:
        return {
            "api_key_id = ?": self.key_id,
            "token_id = ?": self.token_id,
            "newest >= ?": self.since_ms,
            "oldest < ?": self.until_ms,
        }

    def of_rows(self) -> dict[str, Any]:
        globs = self._globs()
        of_model = " OR ".join(["model GLOB ?"] * len(globs))
        ranges = ["status_code >= ? AND status_code < ?"] * (len(self.statuses or ()) // 2)
        return {
            "api_key_id = ?": self.key_id,
            "token_id = ?": self.token_id,
            "requested_at >= ?": self.since_ms,
            "requested_at < ?": self.until_ms,
            f"({FAILED})": () if self.only_failed else None,
            f"NOT ({FAILED})": () if self.failed is False else None,
            f"({' OR '.join(ranges)})": self.statuses,
            f"({of_model})": globs or None,
            "request_id = ?": self.request_id,
            "group_id = ?": self.group_id,
        }

    def admits(self, request: Mapping[str, Any]) -> bool:
        """Whether it is wanted, as `of_rows` decides it in SQL; `request` has the names of JSON."""
        at = round(datetime.datetime.fromisoformat(request["requested_at"]).timestamp() * 1000)
        status, model = request["status_code"], request["model"]
        statuses = self.statuses or (0, 1000)
        failed = status >= 400 or request["ending"] in ENDED_BADLY
        return (
            self.token_id in (None, request["token_id"])
            and self.key_id in (None, request["api_key_id"])
            and self.group_id in (None, request["group_id"])
            and self.request_id in (None, request["request_id"])
            and self.failed in (None, failed)
            and any(
                first <= status < end
                for first, end in zip(statuses[::2], statuses[1::2], strict=True)
            )
            and (self.since_ms is None or at >= self.since_ms)
            and (self.until_ms is None or at < self.until_ms)
            and (
                self.model is None
                or (model is not None and any(fnmatchcase(model, glob) for glob in self._globs()))
            )
        )

    def _globs(self) -> tuple[str, ...]:
        # In a GLOB of SQLite's, [ opens a class; in names it is a letter, as in [1m].
        words = () if self.model is None else self.model.replace("[", "[[]").split(",")
        return tuple(word.strip() for word in words)
