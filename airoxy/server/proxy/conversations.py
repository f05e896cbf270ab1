"""Conversations stay with the upstream token whose account has their cache, their thinking and
their threads."""

from __future__ import annotations

from airoxy.core.pool import Token
from airoxy.core.request import conversation
from airoxy.errors import ThreadNotFound
from airoxy.server.http.head import RequestHead
from airoxy.server.pool.pool import Wanted
from airoxy.server.pool.recent import RecentTokens
from airoxy.server.proxy.answer.peek import peek_until
from airoxy.upstream.exchange import Exchange

Body = bytes | bytearray


class Conversation:
    """What a Messages request has to do with those before it."""

    __slots__ = ("_opening", "_recent", "before", "moved", "session", "thread")

    def __init__(self, recent: RecentTokens) -> None:
        self._recent = recent
        self.session: bytes | None = None
        self.thread: conversation.Thread | None = None
        #: The token that has served it within the last hour.
        self.before: int | None = None
        self.moved = False
        self._opening: bytes | None = None

    def find(self, head: RequestHead, body: Body, key_id: int, wanted: Wanted, now: float) -> None:
        """Let `wanted` ask for the conversation's token."""
        model_class = wanted.scope.model_class
        named = head.session or conversation.session_in(body)
        self.session = named or conversation.conversation_of(body, key_id, model_class)
        if self.session is not None:
            self.before = self._recent.get(self.session, now)
            if named and self.before is None:
                self._follow(body, key_id, wanted, now)
        wanted.session = self.session
        if head.threads and (thread := conversation.thread_in(body)):
            self._continue(thread, wanted, now)

    def _follow(self, body: Body, key_id: int, wanted: Wanted, now: float) -> None:
        """A session that begins with a history was forked from another one."""
        self._opening = conversation.opening_of(body, key_id, wanted.scope.model_class)
        if self._opening and conversation.has_history(body):
            wanted.preferred = self._recent.get(self._opening, now)

    def _continue(self, thread: conversation.Thread, wanted: Wanted, now: float) -> None:
        self.thread = thread
        if thread.previous is None:
            return
        wanted.session = wanted.session or thread.previous
        if wanted.pinned is None:
            wanted.pinned = self._recent.get(thread.previous, now)
            # The client sends the whole conversation then, and any account can go on with it.
            wanted.unavailable = ThreadNotFound if wanted.pinned is not None else None

    async def served(self, token: Token, exchange: Exchange, now: float) -> None:
        """Remember who has answered, before the client can go on with it."""
        if self.session is not None:
            self.moved = self.before is not None and self.before != token.id
            self._recent.note(self.session, token.id, now)
            if self._opening:
                self._recent.note(self._opening, token.id, now)
        if self.thread is not None:
            name = await peek_until(exchange, conversation.message_id_in)
            if name is not None:
                self._recent.note(name, token.id, now)
