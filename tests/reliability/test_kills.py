"""airoxy is killed, at any moment.

AIROXY_KILLS (20) says how often.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import TOKEN, Watched
from tests.reliability.load import Load, figure, integrity, logged, opened, wait, worker
from tests.reliability.raw import STREAM, Client, request

KILLS = int(os.environ.get("AIROXY_KILLS", "20"))


class Row(NamedTuple):
    """What the log says of a request."""

    model: str
    ending: str
    input_tokens: int
    output_tokens: int


def rows(airoxy: Watched) -> list[Row]:
    db = opened(airoxy.database)
    try:
        return [
            Row(*row)
            for row in db.cursor().execute(f"SELECT {', '.join(Row._fields)} FROM requests")
        ]
    finally:
        db.close()


def asked(upstream: FakeAnthropic) -> Counter[str]:
    """The models that Anthropic was asked for."""
    return Counter(json.loads(seen.body)["model"] for seen in upstream.requests if seen.body)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_was_sent_has_one_row_however_often_workers_are_killed(
    install: Callable[..., Watched], upstream: FakeAnthropic, workers: int
) -> None:
    airoxy = install(workers=workers).start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    with Load(airoxy, key) as load:
        for _ in range(KILLS):
            load.wait_served(random.randrange(1, 40))
            time.sleep(random.random() / 100)
            with contextlib.suppress(OSError):
                os.kill(worker(airoxy), signal.SIGKILL)
        load.wait_served(10)
    assert load.outcomes["refused"] == 0  # the parent holds the listening socket
    airoxy.stop()
    assert integrity(airoxy.database) == "ok"
    known = rows(airoxy)
    logged(airoxy.database)  # the sums agree
    sent, written = asked(upstream), Counter(row.model for row in known)
    assert {model: written[model] for model in sent if written[model] != 1} == {}
    # A worker may be killed when a request has its row and is not on its way yet.
    assert len(written.keys() - sent.keys()) <= KILLS
    by_model = {row.model: row for row in known}
    usual = by_model[next(iter(load.whole))]._replace(model="")
    assert {by_model[model]._replace(model="") for model in load.whole} == {usual}
    killed = [row for row in known if row.ending == "worker_killed"]
    assert killed or not load.outcomes["broken"]
    report("worker", load, len(killed))


@pytest.mark.parametrize("successor", ["none", "starting"])
def test_a_worker_is_killed_and_the_service_stops_before_another_is_ready(
    airoxy: Watched, key: str, upstream: FakeAnthropic, successor: str
) -> None:
    upstream.script().stall()
    with Client(airoxy) as client:
        client.send(request(key, STREAM))
        while b"message_start" not in client.received:
            assert client.more()
        killed = worker(airoxy)
        assert airoxy.process
        if successor == "none":
            # So that the parent meets the end of its worker together with the stop.
            airoxy.process.send_signal(signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        if successor == "none":
            airoxy.process.send_signal(signal.SIGTERM)
            airoxy.process.send_signal(signal.SIGCONT)
        else:
            wait(lambda: set(children(airoxy)) - {killed})
        airoxy.stop()
    assert [row.ending for row in rows(airoxy)] == ["worker_killed"]
    assert len(logged(airoxy.database)) == 1


def children(airoxy: Watched) -> list[int]:
    """The workers' process ids."""
    assert airoxy.process
    found = Path(f"/proc/{airoxy.process.pid}/task/{airoxy.process.pid}/children")
    return [int(word) for word in found.read_text().split()]


def test_the_parent_is_killed_at_any_moment(airoxy: Watched, key: str) -> None:
    missing: set[str] = set()
    for _ in range(max(2, KILLS // 4)):
        with Load(airoxy, key) as load:
            load.wait_served(random.randrange(1, 40))
            assert airoxy.process
            workers = children(airoxy)
            airoxy.process.kill()
            airoxy.process.wait()
            airoxy.process = None
        # The workers finish what runs, and leave: nothing keeps the port from a successor.
        wait(lambda workers=workers: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        missing |= load.request_ids - set(logged(airoxy.database))
        airoxy.start()
    assert missing == set()
    airoxy.stop()
    assert integrity(airoxy.database) == "ok"
    report("parent", load, 0)


def report(what: str, load: Load, killed: int) -> None:
    figure(f"{what}: {dict(load.outcomes)}, broken off by a kill: {killed}")
