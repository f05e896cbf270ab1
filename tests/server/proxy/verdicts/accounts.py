"""A few upstream tokens with a client key of their own, and what a verdict has made of them."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable
from typing import Any

from airoxy.store import tokens
from airoxy.store.limits import set_limits
from tests.fake_anthropic import FakeAnthropic, Seen
from tests.fake_anthropic.resources import account
from tests.program import Airoxy, Answer
from tests.server.proxy.verdicts.table import ALL, Row

SESSION = {"x-claude-code-session-id": "0b5c1f52-aaaa-bbbb-cccc-000000000001"}
_NUMBERS = itertools.count(1)


class Accounts:
    """Tokens in a pool of their own, so that many may be tried with one server at the same time."""

    def __init__(self, airoxy: Airoxy, upstream: FakeAnthropic, row: Row) -> None:
        self.airoxy, self.upstream, self.row = airoxy, upstream, row
        pool = f"pool-{next(_NUMBERS)}"
        self.ids: dict[str, int] = {}
        for number in range(row.tokens):
            name = f"{pool}-{number}"
            if row.oauth:
                pair = (f"sk-ant-oat-{name}", f"sk-ant-ort-{name}")
                self.ids[name] = airoxy.token(*pair, name=name)
            else:
                self.ids[name] = airoxy.token(f"sk-ant-api-{name}", name=name)
        self.key = airoxy.key(pool)
        with airoxy.opened() as db:
            for token_id in self.ids.values():
                tokens.set_token(db, token_id, {"pool": pool})
            ((key_id,),) = db.cursor().execute("SELECT id FROM api_keys WHERE name = ?", (pool,))
            set_limits(db, key_id, {"pool": pool})
        self._over = False
        trouble = upstream.script(
            when=lambda seen: not self._over and self._are_asked(seen), times=row.times
        )
        row.says(trouble)

    def _are_asked(self, seen: Seen) -> bool:
        return account(seen.token or "") in self.ids

    def ask(self, *, stream: bool = False, conversation: bool = False, **changes: Any) -> Answer:
        body = {
            "model": "claude-opus-5-5",
            "max_tokens": 10,
            "stream": stream,
            "messages": [{"role": "user", "content": "Hello"}],
            "requests": [],
        }
        headers = SESSION if conversation else {}
        path = changes.pop("path", "/v1/messages")
        return self.airoxy.request("POST", path, body | changes, headers, key=self.key)

    def asked(self) -> list[str]:
        """The accounts that were asked, in order."""
        return [account(seen.token or "") for seen in list(self.upstream.requests)
                if seen.path != "/v1/oauth/token" and self._are_asked(seen)]  # fmt: skip

    def check(self, *, stream: bool) -> None:
        """One request that is answered as the row says, and then some that are not."""
        row, begun = self.row, time.time()
        answer = self.ask(stream=stream, conversation=row.conversation, path=row.path)
        assert answer.status == row.status, answer
        if row.status == 200 and row.path == "/v1/messages":
            assert (b"message_stop" in answer.body) == stream
        asked = self.asked()
        letters = dict(zip(dict.fromkeys(asked), "ABCDEF", strict=False))
        assert "".join(letters[each] for each in asked) == row.asked, asked
        self._over = True
        self._check_use(asked[0], begun)
        self._check_state(asked[0], begun if row.cools else time.time())

    def _check_use(self, first: str, begun: float) -> None:
        """Which requests go to the token that was asked first, by any worker; nothing is known of
        those that end when it may be ready again."""
        row = self.row
        ready = begun + row.seconds() if row.cools else math.inf
        everything = row.dead or row.cools == ALL
        for model, rests in (
            ("claude-opus-5-5", everything or row.cools is not None),
            ("claude-haiku-4-5", everything),
        ):
            if not (rests or model == "claude-opus-5-5" or row.cools):
                continue
            before = len(self.asked())
            for _ in range(row.tokens + 1):
                assert self.ask(model=model).status == 200
            if not rests or time.time() < ready:
                assert (first in self.asked()[before:]) != rests, model

    def _check_state(self, first: str, now: float) -> None:
        """As it was `now`, so that a cooldown that is over meanwhile is still seen."""
        row = self.row
        if row.dead:
            state = self._wait(first, now, lambda state: not state["is_active"])
            assert "401" in state["inactive_reason"]
        elif row.cools is not None:
            (cooling,) = self._wait(first, now, lambda state: state["coolings"])["coolings"]
            assert (cooling["group"], cooling["model_class"]) == row.cools
            assert abs(cooling["until"] - time.time() - row.seconds()) < 90
        for name, state in self._states(now).items():
            if name != first or not (row.dead or row.cools):
                assert state["is_active"], name
                assert not state["coolings"], name
        lines = self._journal()
        assert len(lines) == (row.dead or row.brief or row.cools is not None)
        assert all(f"({first})" in line for line in lines)

    def _journal(self) -> list[str]:
        """What it says of these tokens."""
        said = re.compile(r"Token \d+ \((\S+)\) (?:cools down|is deactivated).*$", re.MULTILINE)
        return [found[0] for found in said.finditer(self.airoxy.errors) if found[1] in self.ids]

    def _states(self, now: float) -> dict[str, dict[str, Any]]:
        with self.airoxy.opened() as db:
            listed = tokens.list_tokens(db, now)
        return {state["name"]: state for state in listed if state["name"] in self.ids}

    def _wait(
        self, name: str, now: float, holds: Callable[[dict[str, Any]], Any]
    ) -> dict[str, Any]:
        """The token's state, once the writer has brought it."""
        deadline = time.monotonic() + 60
        while not holds(state := self._states(now)[name]):
            assert time.monotonic() < deadline, state
            time.sleep(0.01)
        return state
