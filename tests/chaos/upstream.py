"""An Anthropic that fails in the way that the request asks for, and keeps the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from tests.fake_anthropic import Exchange, FakeAnthropic, messages
from tests.fake_anthropic.api import OAUTH_PATH


class Anthropic:
    """`asked` are the models of all requests that arrived, `billed` what their answers cost,
    `refreshed` how often each refresh token was sent."""

    def __init__(self, fake: FakeAnthropic) -> None:
        self._fake = fake
        self.asked: set[str] = set()
        self.billed: dict[str, tuple[int, int]] = {}
        self.refreshed: Counter[str] = Counter()
        #: How requests fail, by their `kind`; all others are answered.
        self.kinds: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "reset": self._reset,
            "stall": self._stall,
            "broken": self._broken,
            "garbage": self._garbage,
            "busy": lambda x: fake.api.refuse(x, 529, "Overloaded"),
            "limited": lambda x: fake.api.refuse(x, 429, "Rate limited."),
            "refused": lambda x: fake.api.refuse(x, 401, "This is not supported."),
        }
        fake.script(when=lambda seen: b'"kind"' in seen.body, times=None).do(self._answer)
        fake.script(path=OAUTH_PATH, times=None).do(self._refresh)

    async def _answer(self, x: Exchange) -> None:
        body = x.seen.json()
        token = x.seen.token or ""
        first = body["model"] not in self.asked
        self.asked.add(body["model"])
        if first and body["kind"] == "expired" and token.startswith("sk-ant-oat-"):
            self._fake.revoke(token)
        if token in self._fake.api.revoked:
            return await self._fake.api.refuse(x, 401, "Invalid bearer token")
        if step := self.kinds.get(body["kind"]):
            return await step(x)
        usage = {"input_tokens": body["max_tokens"], "output_tokens": body["max_tokens"] % 300 + 2}
        self.billed[body["model"]] = (usage["input_tokens"], usage["output_tokens"])
        await self._fake.api.message(x, usage=usage)

    async def _refresh(self, x: Exchange) -> None:
        self.refreshed[x.seen.json().get("refresh_token", "")] += 1
        await self._fake.api.answer(x)

    async def _reset(self, x: Exchange) -> None:
        x.hang_up("reset")

    async def _garbage(self, x: Exchange) -> None:
        await x.raw(b"\x00\xff no answer \r\n\r\n")
        x.hang_up()

    async def _stall(self, x: Exchange) -> None:
        await self._begin(x)
        await x.gone.wait()

    async def _broken(self, x: Exchange) -> None:
        await self._begin(x)
        x.hang_up("reset")

    async def _begin(self, x: Exchange) -> None:
        whole = self._fake.api.compose(x.seen)
        await self._fake.api.begin_stream(x)
        for event in messages.events(whole)[:3]:
            await x.piece(event)
