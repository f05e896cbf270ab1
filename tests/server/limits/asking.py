"""Clients whose keys have limits, one by one and in bursts, and what they are told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.program import Airoxy, Answer

OPUS = "claude-opus-5-5"
#: 25 input tokens at 4 and 12 output tokens at 20 dollars a million.
COST = 25 * 4000 + 12 * 20000
BURST = 12


def dollars(nanousd: int) -> str:
    return f"0.{nanousd:09}"


def ask(airoxy: Airoxy, key: str, **changes: Any) -> Answer:
    body = {
        "model": OPUS, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]
    }  # fmt: skip
    path = changes.pop("path", "/v1/messages")
    return airoxy.request("POST", path, body | changes, key=key)


def limited(airoxy: Airoxy, *options: str) -> str:
    """A key with these limits; its id is 1 where it is the first."""
    return str(airoxy.json("api-key", "add", "--name", "limited", *options)["key"])


def set_(airoxy: Airoxy, *options: str) -> None:
    airoxy.cli("api-key", "set", "1", *options)


def burst(airoxy: Airoxy, key: str, count: int = BURST, **changes: Any) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(airoxy, key, **changes), range(count)))


def count(answers: list[Answer], status: int) -> int:
    return sum(answer.status == status for answer in answers)


def refused(answer: Answer, kind: str) -> tuple[str, int]:
    """The words of a refusal, and for how long it holds."""
    assert answer.status == 429, answer
    told = answer.json()
    assert (told["type"], told["error"]["type"]) == ("error", kind)
    assert told["request_id"] == answer.headers["request-id"]
    return told["error"]["message"], int(answer.headers["retry-after"])


@contextlib.contextmanager
def waiting(airoxy: Airoxy, key: str, number: int, held: Any, **changes: Any) -> Iterator[Any]:
    """So many requests that wait for Anthropic meanwhile; the futures of their answers."""
    with ThreadPoolExecutor(number) as pool:
        futures = [pool.submit(ask, airoxy, key, **changes) for _ in range(number)]
        held.wait_arrived(number)
        yield futures
        held.open()
