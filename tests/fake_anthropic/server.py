"""The fake as a server in a thread of its own, and the record of what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl as tls
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.fake_anthropic.api import OAUTH_PATH, Api, credentials
from tests.fake_anthropic.conversations import Conversations
from tests.fake_anthropic.resources import account
from tests.fake_anthropic.script import Script, Step
from tests.fake_anthropic.wire import Exchange, Line, Seen, now
from tests.ports import free_port

T = TypeVar("T")
#: What Anthropic's headers call the windows of a subscription.
WINDOWS = {
    "five_hour": "5h",
    "seven_day": "7d",
    "seven_day_opus": "7d_opus",
    "seven_day_sonnet": "7d_sonnet",
}


def is_api(seen: Seen) -> bool:
    """Under /v1/, and not the OAuth endpoint (which Anthropic has on another host)."""
    return seen.path.startswith("/v1/") and seen.path != OAUTH_PATH


class FakeAnthropic:
    """`start()` it or use it in a `with`; `remember` bounds the record (default: everything)."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: tls.SSLContext | None = None,
        remember: int | None = None,
    ) -> None:
        # One that stays its own while it refuses, when the kernel might give it to any connection.
        self.host, self.port, self._ssl = host, port or free_port(), ssl
        self.api = Api()
        self._requests: deque[Seen] = deque(maxlen=remember)
        #: How many connections were ever made.
        self.connections = 0
        #: What went wrong inside the fake itself; `stop()` raises the first.
        self.errors: list[BaseException] = []
        #: Paths outside Anthropic's API, with what answers them.
        self.controls: dict[str, Step] = {}
        self._scripts: list[Script] = []
        self._lines: set[Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._condition = threading.Condition()
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None

    # Its life

    def start(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-anthropic")
        self._thread.start()
        self.listen()
        return self

    def stop(self) -> None:
        """Close everything, and raise what went wrong inside."""
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.errors:
            raise self.errors[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def listen(self) -> None:
        """Accept connections (again), on the same port as before."""
        self.run(self._listen())

    def refuse(self) -> None:
        """Stop listening and drop every connection: new ones are refused until `listen()`."""
        self.run(self._close())

    def close_idle(self) -> None:
        """Close the kept-alive connections on which no request is being answered."""
        self.run(self._close_idle())

    @property
    def url(self) -> str:
        return f"http{'s' if self._ssl else ''}://{self.host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._lines)

    # What it should do

    def script(
        self,
        token: str | None = None,
        path: str | None = None,
        when: Callable[[Seen], bool] | None = None,
        *,
        times: int | None = 1,
        early: bool = False,
    ) -> Script:
        """What to answer to requests with this token, to this path, or for which `when` is true.

        Without a path it is for anything under /v1/ but the OAuth endpoint. `early` answers as soon
        as the head is there, before the body is read, and closes the connection afterwards.
        """

        def matches(seen: Seen) -> bool:
            reached = seen.path == path if path else is_api(seen)
            return reached and token in (None, seen.token) and (when is None or when(seen))

        made = Script(self, matches, times, early)
        self._scripts.append(made)
        return made

    def clear(self) -> None:
        """Forget the scripts and the record, not what clients have made."""
        self._scripts.clear()
        self.forget_requests()

    def forget_requests(self) -> None:
        """Forget the record alone."""
        self._requests.clear()

    def revoke(self, token: str) -> None:
        """From now on this access or refresh token is refused."""
        self.api.revoked.add(token)

    def set_usage(self, **counts: Any) -> None:
        """Usage that every message reports from now on; fields not named stay as usual."""
        self.api.usage = counts

    def keep_conversations(self) -> None:
        """From now on usage is what each account's prompt cache makes of it, and message threads
        go on where they began."""
        self.api.conversations = Conversations()

    def set_quota(self, token: str, **windows: tuple[str, float, int]) -> None:
        """Windows of a subscription: `five_hour=("allowed", 0.5, RESET)` and so on; names are those
        of Anthropic's headers (5h, 7d, 7d_opus), with words for numbers where Python needs them."""
        named = {WINDOWS.get(name, name): window for name, window in windows.items()}
        worst = max(named.values(), key=lambda window: window[1])
        head = "anthropic-ratelimit-unified"
        told = {f"{head}-status": worst[0], f"{head}-reset": str(worst[2])}
        for name, (status, utilization, reset) in named.items():
            told[f"{head}-{name}-status"] = status
            told[f"{head}-{name}-utilization"] = str(utilization)
            told[f"{head}-{name}-reset"] = str(reset)
        self.api.quotas[account(token)] = told

    # What it was asked

    @property
    def requests(self) -> list[Seen]:
        """Every request whose head has arrived so far, oldest first; more may come while a test
        goes through them."""
        return list(self._requests)

    @property
    def messages(self) -> list[Seen]:
        """The requests to the Messages endpoint."""
        return [seen for seen in self.requests if seen.path == "/v1/messages"]

    @property
    def refreshes(self) -> list[Seen]:
        """The requests to the OAuth token endpoint."""
        return [seen for seen in self.requests if seen.path == OAUTH_PATH]

    @property
    def tokens(self) -> list[str | None]:
        """The tokens of the requests to the API, in order."""
        return [seen.token for seen in self.requests if is_api(seen)]

    def wait_for(self, count: int = 1, path: str | None = None, timeout: float = 30) -> list[Seen]:
        """Wait until so many requests (to this path) have arrived whole, and give them."""

        def arrived() -> list[Seen] | None:
            whole = [s for s in self.requests if s.received_at and path in (None, s.path)]
            return whole if len(whole) >= count else None

        return self.wait(arrived, timeout) or []

    def wait_gone(self, seen: Seen, timeout: float = 30) -> float:
        """Wait until the client of this unfinished answer has left, and say when."""
        return self.wait(lambda: seen.gone_at, timeout) or 0

    def wait_answered(self, seen: Seen, timeout: float = 30) -> float:
        """Wait until the answer was handed to the kernel whole, and say when."""
        return self.wait(lambda: seen.answered_at, timeout) or 0

    def wait(self, check: Callable[[], T], timeout: float = 30) -> T:
        """Wait until `check()` is true, asked again whenever something happens here."""
        with self._condition:
            if self._condition.wait_for(check, timeout):
                return check()
        raise AssertionError(f"waited {timeout} s in vain; so far: {self.requests}")

    # Inside

    def changed(self) -> None:
        """Something happened that a waiting test may want to know."""
        with self._condition:
            self._condition.notify_all()

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Run the function in the server's thread, soon."""
        self._loop.call_soon_threadsafe(function, *args)

    def run(self, work: Any) -> Any:
        """Run the coroutine in the server's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            lambda: Line(self._connected, self._left),
            self.host,
            self.port,
            ssl=self._ssl,
            backlog=1024,
        )

    async def _close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        for line in self._lines:
            line.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _close_idle(self) -> None:
        """In the server's thread, where the end of an answer that a client has is in our books."""
        for line in list(self._lines):
            if line.current is None:
                line.writer.close()

    def _connected(self, line: Line) -> None:
        self.connections += 1
        self._lines.add(line)
        task = self._loop.create_task(self._serve(line, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _left(self, line: Line) -> None:
        if line.current and line.current.answered_at is None:
            line.current.gone_at = now()
        self.changed()

    async def _serve(self, line: Line, number: int) -> None:
        """One connection, request by request, until either side closes it."""
        try:
            while await self._serve_one(line, number):
                pass
        except (OSError, asyncio.CancelledError):
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            line.current = None
            line.writer.close()
            with contextlib.suppress(OSError):
                await line.writer.wait_closed()
            self._lines.discard(line)
            self.changed()

    async def _serve_one(self, line: Line, number: int) -> bool:
        head = await line.read_head()
        if head is None:
            return False
        seen = line.current = Seen(head, number, now())
        given = credentials(seen)
        seen.token = given[0] if len(given) == 1 else None
        x = Exchange(line, seen, self.changed)
        self._requests.append(seen)
        self.changed()
        step = self._step(seen, early=True)
        if step:
            x.keep = False
        else:
            seen.body = await line.read_body(seen)
            seen.received_at = now()
            self.changed()
            step = self._step(seen, early=False) or self._usual(seen)
        await step(x)
        if not x.keep and seen.received_at is None:
            await line.linger()
        if not line.gone.is_set():
            seen.answered_at = now()
        line.current = None
        self.changed()
        return x.keep and not line.gone.is_set()

    def _step(self, seen: Seen, *, early: bool) -> Step | None:
        asked = (script.take(seen) for script in self._scripts if script.early is early)
        return next((step for step in asked if step), None)

    def _usual(self, seen: Seen) -> Step:
        return self.controls.get(seen.path, self.api.answer)
