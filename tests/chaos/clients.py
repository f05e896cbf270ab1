"""Clients: most ask and read, some mean harm."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from tests.chaos.front import Front
from tests.reliability.conftest import Watched
from tests.reliability.raw import Client, request

#: What is asked for, and how often of twenty.
KINDS = {
    "plain": 6, "stream": 6, "reset": 1, "stall": 1, "broken": 1, "garbage": 1, "busy": 1,
    "limited": 1, "refused": 1, "expired": 1, "harm": 1,
}  # fmt: skip
#: What is answered in full where nothing is wrong, and what as a stream.
SERVED, STREAMED = ("plain", "stream", "expired"), ("stream", "stall", "broken")
#: And within one connection of HTTP/2.
FRONT_KINDS = ("plain", "stream", "stream", "reset", "stall", "broken", "expired")
#: What a request may be answered that nothing is wrong with, while something is with the machine.
ALLOWED = (200, 429, 502, 503, 504, 529)


class Crowd:
    """Clients that ask until the end, directly and through `front`; `whole` are the models of
    complete answers."""

    def __init__(
        self, airoxy: Watched, key: str, seed: int, front: Front | None = None, clients: int = 4
    ) -> None:
        self._airoxy, self._key = airoxy, key
        self.outcomes: Counter[str] = Counter()
        self.whole: set[str] = set()
        self.faults: list[str] = []
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._harm: tuple[Callable[[Client, random.Random], None], ...] = (
            self._one_byte_chunks, self._half_a_body, self._wrong_key, self._never_reads,
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(seed + n),))
            for n in range(clients)
        ]
        if front:
            dice = random.Random(seed - 1)
            self._threads.append(threading.Thread(target=self._run_front, args=(front, dice)))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, dice: random.Random) -> None:
        while not self._stopping.wait(0.02):
            kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
            try:
                with Client(self._airoxy) as client:
                    outcome = self._ask(client, kind, dice)
            except OSError:
                outcome = "no connection"
            except Exception as error:
                self.faults.append(f"a client: {error!r}")
                outcome = "fault"
            self.outcomes[f"{kind}: {outcome}"] += 1

    def _run_front(self, front: Front, dice: random.Random) -> None:
        while not self._stopping.wait(0.5):
            kinds = dice.choices(FRONT_KINDS, k=6)
            bodies = [self.body(kind) for kind in kinds]
            for body, outcome in zip(bodies, front.ask(self._key, bodies), strict=True):
                if outcome.whole:
                    self.judge(body, outcome.status, outcome.body)
                told = outcome.status if outcome.whole else "broken off"
                self.outcomes[f"HTTP/2 {body['kind']}: {told}"] += 1

    def _ask(self, client: Client, kind: str, dice: random.Random) -> str:
        if kind == "harm":
            dice.choice(self._harm)(client, dice)
            return "done"
        body = self.body(kind)
        answer = client.send(request(self._key, json.dumps(body).encode())).answer()
        if answer is None or not answer.whole:
            return "broken off"
        self.judge(body, answer.status, answer.body)
        return str(answer.status)

    def body(self, kind: str) -> dict[str, Any]:
        """A request for a model of its own name."""
        number = next(self._numbers)
        model = f"claude-opus-5-5-{number}"
        body = {"model": model, "max_tokens": number, "messages": [], "kind": kind}
        return body | {"stream": True} if kind in STREAMED else body

    def judge(self, body: dict[str, Any], status: int, text: bytes) -> None:
        """Note an answer that came to its end."""
        model, kind = body["model"], body["kind"]
        told = f"{model} ({kind}): {status} {text[:500]!r}"
        if kind in SERVED and status not in ALLOWED:
            self.faults.append(told)
        if status != 200:
            return
        end = b"message_stop" if kind in STREAMED else b"end_turn"
        if kind not in SERVED or end not in text or f'"{model}"'.encode() not in text:
            self.faults.append(f"another's answer, or half of one: {told}")
        self.whole.add(model)

    def _one_byte_chunks(self, client: Client, dice: random.Random) -> None:
        head = request(self._key, b"", headers=b"transfer-encoding: chunked\r\n")
        head = head.replace(b"content-length: 0\r\n", b"")
        client.send(head + b"1\r\na\r\n" * dice.randrange(1, 50_000))

    def _half_a_body(self, client: Client, dice: random.Random) -> None:
        whole = request(self._key, b"x" * 100_000)
        client.send(whole[: dice.randrange(1, len(whole))])
        self._stopping.wait(dice.random())

    def _wrong_key(self, client: Client, dice: random.Random) -> None:
        answer = client.send(request("ak-" + "0" * 40)).answer()
        if answer and answer.status not in (401, 429, 503):
            self.faults.append(f"a wrong key: {answer}")

    def _never_reads(self, client: Client, dice: random.Random) -> None:
        client.send(request(self._key, None, path="/v1/models") * 200)
        self._stopping.wait(dice.random())
