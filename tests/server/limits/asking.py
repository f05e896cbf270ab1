"""Clients whose keys have limits, one by one and in bursts, and what they are told."""

from __future__ import annotations

import contextlib
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from airoxy.cli.api_keys.limits import OF_KEYS, Option, arguments, changes
from airoxy.core.keys import new_key
from airoxy.server.proxy.proxy import SNAPSHOT_TTL
from airoxy.store import keys
from airoxy.store.limits import set_limits
from airoxy.store.schema import open_database, transaction
from tests.program import Airoxy, Answer

OPUS = "claude-opus-5-5"
#: 25 input tokens at 4 and 12 output tokens at 20 dollars a million.
COST = 25 * 4000 + 12 * 20000
BURST = 12


def dollars(nanousd: int) -> str:
    return f"0.{nanousd:09}"


def ask(airoxy: Airoxy, key: str, **fields: Any) -> Answer:
    body = {
        "model": OPUS, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]
    }  # fmt: skip
    path = fields.pop("path", "/v1/messages")
    return airoxy.request("POST", path, body | fields, key=key)


def limited(airoxy: Airoxy, *options: str) -> str:
    """A key with these limits; its id is 1 where it is the first."""
    key = new_key(secrets.choice)
    with contextlib.closing(open_database(airoxy.database)) as db, transaction(db):
        key_id = keys.add_key(db, f"limited-{key[-6:]}", key, time.time())
        if options:
            set_limits(db, key_id, read_options(options))
    return key


def set_(airoxy: Airoxy, *options: str, key_id: int = 1) -> None:
    """As `airoxy api-key set` does it; what it changes holds when this returns."""
    with contextlib.closing(open_database(airoxy.database)) as db:
        set_limits(db, key_id, read_options(options))
    time.sleep(SNAPSHOT_TTL)


def read_options(options: Sequence[str], known: Sequence[Option] = OF_KEYS) -> dict[str, Any]:
    """What a command would set."""
    parser = ArgumentParser()
    for add in arguments(known, new=False):
        add(parser)
    return changes(parser.parse_args(options), datetime.now(UTC), known)


def burst(airoxy: Airoxy, key: str, count: int = BURST, **fields: Any) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(airoxy, key, **fields), range(count)))


def count(answers: list[Answer], status: int) -> int:
    return sum(answer.status == status for answer in answers)


def refused(answer: Answer, kind: str) -> tuple[str, int]:
    """The words of a refusal, and for how long it holds."""
    assert answer.status == 429, answer
    told = answer.json()
    assert (told["type"], told["error"]["type"]) == ("error", kind)
    assert told["request_id"] == answer.headers["request-id"]
    return told["error"]["message"], int(answer.headers["retry-after"])


def is_left_of_a_minute(seconds: int, begun: float) -> bool:
    """Whether a minute that began at `begun` (Unix time) or later ends in so many seconds."""
    return int(begun) + 60 - time.time() <= seconds <= 60


@contextlib.contextmanager
def waiting(airoxy: Airoxy, key: str, number: int, held: Any, **fields: Any) -> Iterator[Any]:
    """So many requests that wait for Anthropic meanwhile; the futures of their answers."""
    with ThreadPoolExecutor(number) as pool:
        futures = [pool.submit(ask, airoxy, key, **fields) for _ in range(number)]
        held.wait_arrived(number)
        yield futures
        held.open()
