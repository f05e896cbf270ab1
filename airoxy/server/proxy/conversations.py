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


#: Names in RecentTokens: sessions that go on with another one's history, and whose threads are.
_FORK, _OWNER = b"fork\0", b"owner\0"


class Conversation:
    """What a Messages request of a client key has to do with those before it."""

    __slots__ = (
        "_before", "_forked", "_key_id", "_notes", "_opening", "_recent", "_session", "_thread",
        "moved",
    )  # fmt: skip

    def __init__(self, recent: RecentTokens, key_id: int) -> None:
        self._recent = recent
        self._key_id = key_id
        self._session: bytes | None = None
        self._thread: conversation.Thread | None = None
        #: The token that has served it within the last hour.
        self._before: int | None = None
        self._opening: bytes | None = None
        self._forked = False
        #: Whether the answer puts something into the account that the next request needs.
        self._notes = False
        #: Whether it was with another token before.
        self.moved = False

    def find(
        self, head: RequestHead, body: Body, wanted: Wanted, now: float, *, stays: bool
    ) -> bool:
        """Let `wanted` ask for the conversation's token, if conversations are to stay with one; a
        thread has to. Whether there is a conversation. Raises ThreadNotFound for one of another
        client key."""
        self._notes = wanted.scope.group == "messages"
        if stays:
            self._find_session(head, body, wanted, now)
        if head.threads and (thread := conversation.thread_in(body)):
            self._continue(thread, wanted, now)
        return self._session is not None or self._thread is not None

    def _find_session(self, head: RequestHead, body: Body, wanted: Wanted, now: float) -> None:
        if head.session is None and conversation.tells_nothing(body):
            return
        model_class, recent = wanted.scope.model_class, self._recent
        named = head.session or conversation.session_in(body)
        session = named or conversation.conversation_of(body, self._key_id, model_class)
        wanted.session = self._session = session
        if session is None:
            return
        self._before = recent.get(session, now)
        if not named:
            return
        if self._before is None:
            # A session that begins with a history was forked from another one.
            self._opening = conversation.opening_of(body, self._key_id, model_class)
            if self._opening and conversation.has_history(body):
                wanted.preferred = recent.get(self._opening, now)
        else:
            wanted.preferred = recent.get(_FORK + session, now)
        self._forked = wanted.preferred is not None

    def _continue(self, thread: conversation.Thread, wanted: Wanted, now: float) -> None:
        self._thread = thread
        previous = thread.previous
        if previous is None:
            return
        if self._recent.get(_OWNER + previous, now) not in (None, self._key_id):
            raise ThreadNotFound
        wanted.session = wanted.session or previous
        if wanted.pinned is None:
            wanted.pinned = self._recent.get(previous, now)
            # The client sends the whole conversation then, and any account can go on with it.
            wanted.unavailable = ThreadNotFound if wanted.pinned is not None else None

    async def served(self, token: Token, exchange: Exchange, now: float) -> None:
        """Remember who has answered, before the client can go on with it."""
        recent, session = self._recent, self._session
        if not self._notes:
            return
        if session is not None:
            self.moved = self._before is not None and self._before != token.id
            recent.note(session, token.id, now)
            if self._opening:
                recent.note(self._opening, token.id, now)
            if self._forked:
                recent.note(_FORK + session, token.id, now)
        if self._thread is not None:
            name = await peek_until(exchange, conversation.message_id_in)
            if name is not None:
                recent.note(name, token.id, now)
                recent.note(_OWNER + name, self._key_id, now)
