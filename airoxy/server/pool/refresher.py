"""Renews expired OAuth tokens for the requests that meet them, once for all that wait.

Invariant: within this process one task renews a token, however many requests wait for it; between
processes the lease in the database sees to that (jobs.refresh).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from airoxy.config import OAuth
from airoxy.core.pool import Token
from airoxy.errors import StoreError
from airoxy.jobs.refresh import Outcome, refresh_token
from airoxy.journal import about
from airoxy.store.file.access import explain

log = logging.getLogger(__name__)


class Refresher:
    """`connect` opens a database connection for the thread that does it. Raises StoreError."""

    def __init__(self, oauth: OAuth, connect: Callable[[], apsw.Connection]) -> None:
        self._oauth = oauth
        self._connect = connect
        self._running: dict[int, asyncio.Task[bool]] = {}
        self._told: dict[int, str] = {}

    async def refresh(self, token: Token, request_id: str | None = None) -> bool:
        """True if the database now has a newer secret than `token`'s."""
        task = self._running.get(token.id)
        if task is None:
            task = self._running[token.id] = asyncio.create_task(self._refresh(token, request_id))
            task.add_done_callback(lambda _: self._running.pop(token.id, None))
        # A client that leaves must not take the others' refresh with it.
        return await asyncio.shield(task)

    async def _refresh(self, token: Token, request_id: str | None) -> bool:
        return await asyncio.to_thread(self._refresh_here, token, request_id)

    def _refresh_here(self, token: Token, request_id: str | None) -> bool:
        try:
            outcome = self._renew(token)
        except StoreError as error:  # it fails no request that another token can serve
            message = f"cannot be refreshed: {error.message}"
            outcome = Outcome(token.id, token.name, False, message)
        if self._told.get(token.id) != outcome.message:  # once, not for each request
            self._told[token.id] = outcome.message
            level = logging.INFO if outcome.renewed else logging.WARNING
            where = about(request_id)
            log.log(level, "Token %d (%s): %s", token.id, token.name, outcome.message, extra=where)
        return outcome.renewed

    def _renew(self, token: Token) -> Outcome:
        """Raises StoreError."""
        db = self._connect()
        try:
            return refresh_token(
                db, token.id, token.secret, self._oauth, time.time, keep_pause=True
            )
        except apsw.Error as error:
            raise explain(Path(db.filename), error) from error
        finally:
            db.close()

    async def aclose(self) -> None:
        """Wait for what is under way: a refresh token works once, its answer must be stored."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
