"""Clients: most ask and read, some mean harm."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

from tests.reliability.conftest import Watched
from tests.reliability.raw import Client, request

#: What is asked for, and how often of twenty.
KINDS = {
    "plain": 6, "stream": 6, "reset": 1, "stall": 1, "broken": 1, "garbage": 1, "busy": 1,
    "limited": 1, "refused": 1, "harm": 1,
}  # fmt: skip
#: What a request may be answered that nothing is wrong with, while something is with the machine.
ALLOWED = (200, 429, 502, 503, 504, 529)


class Crowd:
    """Clients that ask until the end; `whole` are the models of complete answers."""

    def __init__(self, airoxy: Watched, key: str, seed: int, clients: int = 4) -> None:
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

    def _ask(self, client: Client, kind: str, dice: random.Random) -> str:
        if kind == "harm":
            dice.choice(self._harm)(client, dice)
            return "done"
        number = next(self._numbers)
        model = f"claude-opus-5-5-{number}"
        body = {"model": model, "max_tokens": number, "messages": [], "kind": kind}
        if kind in ("stream", "stall", "broken"):
            body["stream"] = True
        answer = client.send(request(self._key, json.dumps(body).encode())).answer()
        if answer is None or not answer.whole:
            return "broken off"
        if kind in ("plain", "stream"):
            if answer.status not in ALLOWED:
                self.faults.append(f"{model}: {answer}")
            if answer.status == 200:
                end = b"message_stop" if kind == "stream" else b"end_turn"
                if end not in answer.body:
                    self.faults.append(f"{model} looks complete: {answer}")
                self.whole.add(model)
        return str(answer.status)

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
