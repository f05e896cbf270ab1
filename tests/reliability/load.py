"""Clients that ask without a pause, and what is in the database after them."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

import apsw

from tests.reliability.conftest import Watched
from tests.reliability.raw import HELLO, STREAM, Client, request

MODEL = b"claude-opus-5-5"


class Load:
    """Clients that ask without a pause; what became of every request, by its outcome. Each request
    asks for a model of its own name; `whole` are those of answers that came to their end."""

    def __init__(self, airoxy: Watched, key: str, clients: int = 4) -> None:
        self.airoxy, self.key = airoxy, key
        self.outcomes: Counter[str] = Counter()
        self.request_ids: set[str] = set()
        self.whole: set[str] = set()
        self._numbers = itertools.count()
        self.durations: list[float] = []
        self._more = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, args=(STREAM if n % 2 else HELLO,))
            for n in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def wait_served(self, more: int, timeout: float = 30) -> None:
        """Until so many further requests were answered whole."""
        with self._more:
            goal = self.outcomes["whole"] + more
            assert self._more.wait_for(lambda: self.outcomes["whole"] >= goal, timeout), (
                self.outcomes,
                self.airoxy.errors,
            )

    def spread(self) -> str:
        """How long the requests took, for a figure."""
        took = [1000 * each for each in sorted(self.durations)]
        half, most = took[len(took) // 2], took[len(took) * 99 // 100]
        return f"{len(took):,} requests, {half:.1f}, {most:.1f} and {took[-1]:.0f} ms"

    def _run(self, body: bytes) -> None:
        client = None
        while not self._stopping:
            started = time.monotonic()
            model = b"%b-%d" % (MODEL, next(self._numbers))
            try:
                client = client or Client(self.airoxy)
                outcome = self._ask(client, body.replace(MODEL, model))
            except ConnectionRefusedError:
                outcome = "refused"
            except OSError:
                outcome = "broken"
            if outcome != "whole" and client:
                client.close()
                client = None
            with self._more:
                self.outcomes[outcome] += 1
                if outcome == "whole":
                    self.whole.add(model.decode())
                    self.durations.append(time.monotonic() - started)
                self._more.notify_all()
        if client:
            client.close()

    def _ask(self, client: Client, body: bytes) -> str:
        answer = client.send(request(self.key, body)).answer()
        if answer is None or not answer.whole:
            return "broken"
        assert answer.status == 200, answer
        # A stream that looks complete is complete.
        assert (b"message_stop" if b'"stream"' in body else b'"end_turn"') in answer.body
        self.request_ids.add(answer.headers[b"request-id"].decode())
        return "whole"


def figure(text: str) -> None:
    """For docs/reliability.md: `make figures` shows it."""
    print(f"\nfigure: {text}")


def worker(airoxy: Watched) -> int:
    return int(airoxy.request("GET", "/health").json()["pid"])


def wait(holds: Callable[[], object], seconds: float = 60) -> None:
    """For what no event tells of."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def opened(path: Path) -> apsw.Connection:
    """The database beside a server that uses it: one waits for the other's commit to end."""
    db = apsw.Connection(str(path))
    db.setbusytimeout(10_000)
    return db


def integrity(path: Path) -> str:
    db = opened(path)
    try:
        return str(next(iter(db.cursor().execute("PRAGMA integrity_check")))[0])
    except apsw.CorruptError as error:
        return str(error)
    finally:
        db.close()


def logged(path: Path) -> list[str]:
    """Anthropic's ids of the requests in the log."""
    db = opened(path)
    try:
        db.cursor().execute("BEGIN")
        rows = db.cursor().execute("SELECT request_id FROM requests").fetchall()
        sums = db.cursor().execute("SELECT sum(requests) FROM daily").fetchall()
        assert (sums[0][0] or 0) == len(rows)
        return [row[0] for row in rows]
    finally:
        db.close()
