"""What a test tells the fake to do instead of answering as usual.

A script is a queue: each answer is given to the next request that matches, once, or `times` times
(None: until `clear()`). Scripts are asked in the order in which they were written; a request that
none of them has an answer for is answered as Anthropic would.

    upstream.script(token=ONE).limit(retry_after=30).overloaded()    # the first two with this token
    upstream.script(path="/v1/models", times=None).status(500)
    hold = upstream.script().hold()            # …; hold.wait_arrived(); hold.release()
    pace = upstream.script().paced()           # …; pace.release(2); pace.cut(); pace.open()
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tests.fake_anthropic import messages
from tests.fake_anthropic.encodings import encode
from tests.fake_anthropic.wire import Exchange, Seen, now

if TYPE_CHECKING:
    from tests.fake_anthropic.server import FakeAnthropic

Step = Callable[[Exchange], Awaitable[None]]


class Script:
    """Answers for the requests that match; every method adds one and most return the script."""

    def __init__(
        self, fake: FakeAnthropic, matches: Callable[[Seen], bool], times: int | None, early: bool
    ) -> None:
        self._fake, self._matches, self._times, self.early = fake, matches, times, early
        self._steps: list[tuple[Step, int | None]] = []
        self._lock = threading.Lock()

    def take(self, seen: Seen) -> Step | None:
        """The step for this request, if the script has one left for it."""
        with self._lock:
            if not self._steps or not self._matches(seen):
                return None
            step, left = self._steps[0]
            if left == 1:
                self._steps.pop(0)
            elif left is not None:
                self._steps[0] = (step, left - 1)
            return step

    def do(self, step: Step) -> Script:
        """Any answer at all: `async def step(exchange)`."""
        with self._lock:
            self._steps.append((step, self._times))
        return self

    # Errors as Anthropic words them

    def status(
        self, status: int, message: str = "Scripted.", *, headers: dict[str, str] | None = None
    ) -> Script:
        """An error in Anthropic's shape."""
        return self._refuse(status, message, headers)

    def limit(self, retry_after: int | None = None, message: str = "Rate limited.") -> Script:
        """429; without `retry_after` (seconds) it is one that says nothing about the token."""
        wait = {} if retry_after is None else {"retry-after": str(retry_after)}
        return self._refuse(429, message, wait)

    def spend_limit(self) -> Script:
        """429 of an organisation that has spent its month's money."""
        told = "You have reached your specified API usage limits."
        return self._refuse(429, told, None, {"error_code": "enforced_spend_limit_reached"})

    def overloaded(self) -> Script:
        return self._refuse(529, "Overloaded")

    def unauthorized(self) -> Script:
        return self._refuse(401, "invalid x-api-key")

    def forbidden(self) -> Script:
        return self._refuse(403, "Your account does not have access to this resource.")

    def _refuse(
        self,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
    ) -> Script:
        return self.do(
            lambda x: self._fake.api.refuse(x, status, message, headers=headers, details=details)
        )

    # Answers

    def message(self, text: str = messages.TEXT, *, encoding: str = "", **said: Any) -> Script:
        """A message, streamed if asked; `usage`, `model`, `tool` as for `messages.message`."""
        return self.do(lambda x: self._fake.api.message(x, text=text, encoding=encoding, **said))

    def tool_use(self, name: str, given: dict[str, Any], text: str = "") -> Script:
        """A message that asks the client to use a tool."""
        return self.message(text, tool=(name, given))

    def answer(
        self,
        status: int,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
        *,
        encoding: str = "",
    ) -> Script:
        """Exactly this status, these headers and this body, with `content-length`."""
        extra = [("Content-Encoding", encoding)] if encoding else []
        packed = encode(encoding or None, body)
        return self.do(lambda x: x.respond(status, [*(headers or []), *extra], packed))

    def json(self, data: Any, status: int = 200) -> Script:
        kind = [("Content-Type", "application/json")]
        return self.answer(status, kind, json.dumps(data).encode())

    def raw(self, data: bytes, *, close: bool = True) -> Script:
        """Bytes as they are, head included, then the end of the connection."""

        async def step(x: Exchange) -> None:
            await x.raw(data)
            if close:
                x.hang_up()

        return self.do(step)

    # Trouble

    def hang_up(self, how: str = "fin") -> Script:
        """Close without an answer; `how` is "fin" or "reset"."""

        async def step(x: Exchange) -> None:
            x.hang_up(how)

        return self.do(step)

    def broken(self, after: int = 3, how: str = "reset", **said: Any) -> Script:
        """A stream that breaks off after so many events."""

        async def step(x: Exchange) -> None:
            await self._stream(x, said, after)
            x.hang_up(how)

        return self.do(step)

    def stall(self, after: int = 3, **said: Any) -> Script:
        """A stream that sends so many events and then nothing, until the client leaves."""

        async def step(x: Exchange) -> None:
            await self._stream(x, said, after)
            await x.gone.wait()

        return self.do(step)

    def stream_error(self, after: int = 3, kind: str = "overloaded_error", **said: Any) -> Script:
        """A stream in which an error event comes after so many events."""
        error = {"type": "error", "error": {"type": kind, "message": "Overloaded"}}

        async def step(x: Exchange) -> None:
            await self._stream(x, said, after)
            await x.piece(messages.event(error))
            await x.end()

        return self.do(step)

    def flood(
        self, size: int, piece: bytes = b"x" * 65536, content_type: str = "text/event-stream"
    ) -> Script:
        """At least `size` bytes of `piece` over and over, or until the client leaves."""

        async def step(x: Exchange) -> None:
            await x.begin(200, [("Content-Type", content_type)])
            while x.seen.sent < size and not x.gone.is_set():
                await x.piece(piece)
            await x.end()

        return self.do(step)

    async def _stream(self, x: Exchange, said: dict[str, Any], count: int | None = None) -> None:
        whole = self._fake.api.compose(x.seen, **said)
        await self._fake.api.begin_stream(x)
        for event in messages.events(whole)[:count]:
            await x.piece(event)

    # Answers in the test's hand

    def hold(self, then: Step | None = None) -> Gate:
        """Nothing at all until released; then the usual answer, or `then`."""
        gate = Gate(self._fake)

        async def step(x: Exchange) -> None:
            if await gate.passes(x):
                await (then or self._fake.api.answer)(x)

        self.do(step)
        return gate

    def paced(self, events: list[bytes] | None = None, **said: Any) -> Gate:
        """A stream's head at once, then one event (or given piece) for each release."""
        gate = Gate(self._fake)

        async def step(x: Exchange) -> None:
            pieces = events or messages.events(self._fake.api.compose(x.seen, **said))
            await self._fake.api.begin_stream(x)
            for piece in pieces:
                if not await gate.passes(x):
                    return
                gate.sent.append(now())
                await x.piece(piece)
            await x.end()

        self.do(step)
        return gate


class Gate:
    """What a test holds in its hand while an answer waits. All of it is safe from any thread."""

    def __init__(self, fake: FakeAnthropic) -> None:
        self._fake = fake
        self._allowed = 0
        self._open = False
        self._cut = ""
        self._woken = asyncio.Event()
        #: The requests that came to wait here.
        self.arrived: list[Seen] = []
        #: When each event was handed to the kernel (`time.monotonic()`).
        self.sent: list[float] = []

    def release(self, count: int = 1) -> None:
        """Let through so many waits: answers, or events of a paced stream."""
        self._fake.call(self._change, count, self._open, self._cut)

    def open(self) -> None:
        """Let through everything from now on."""
        self._fake.call(self._change, 0, True, self._cut)

    def cut(self, how: str = "reset") -> None:
        """Break the waiting connections; `how` is "fin" or "reset"."""
        self._fake.call(self._change, 0, self._open, how)

    def wait_arrived(self, count: int = 1, timeout: float = 30) -> Seen:
        """Wait until so many requests wait here; gives back the last of them."""
        self._fake.wait(lambda: len(self.arrived) >= count, timeout)
        return self.arrived[count - 1]

    def wait_sent(self, count: int, timeout: float = 30) -> None:
        """Wait until so many events were sent."""
        self._fake.wait(lambda: len(self.sent) >= count, timeout)

    def _change(self, count: int, opened: bool, cut: str) -> None:
        self._allowed, self._open, self._cut = self._allowed + count, opened, cut
        self._woken.set()

    async def passes(self, x: Exchange) -> bool:
        """Wait for a release; False where the connection is cut or the peer has left."""
        if x.seen not in self.arrived:
            self.arrived.append(x.seen)
            self._fake.changed()
        while not (self._allowed or self._open or self._cut or x.gone.is_set()):
            self._woken.clear()
            await x.until(self._woken)
        if self._cut:
            x.hang_up(self._cut)
        if self._cut or x.gone.is_set():
            return False
        self._allowed = max(0, self._allowed - 1)
        return True
