"""Limits of groups while keys move, limits change, workers are killed and airoxy is restarted."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.store.schema import run
from tests.program import Answer
from tests.reliability.conftest import Watched
from tests.reliability.load import wait, worker
from tests.server.limits.asking import COST, ask, dollars, limited
from tests.server.limits.test_groups import add_group, put, set_group

STEPS = 60
KEYS, GROUPS = (1, 2, 3), (2, 3)


class Model:
    """What should hold: the requests that were served, by group, and the most that may be."""

    def __init__(self) -> None:
        self.group_of: dict[int, int | None] = dict.fromkeys(KEYS)
        self.limits: dict[int, int | None] = dict.fromkeys((EVERYBODY, *GROUPS))
        self.served: Counter[int] = Counter()

    def holders(self, key_id: int) -> list[int]:
        group_id = self.group_of[key_id]
        return [EVERYBODY] if group_id is None else [EVERYBODY, group_id]

    def spent(self, key_id: int) -> list[int]:
        """Those whose limit lets no request of the key in."""
        return [
            each
            for each in self.holders(key_id)
            if (most := self.limits[each]) is not None and self.served[each] >= most
        ]

    def heard(self, key_id: int, answer: Answer) -> None:
        assert answer.status in (200, 429), answer
        if answer.status == 200:
            self.served.update(self.holders(key_id))


class Driver:
    """Does to an airoxy, and to the model of it, what is drawn."""

    def __init__(self, airoxy: Watched, draw: random.Random) -> None:
        self.airoxy, self.draw, self.model = airoxy, draw, Model()
        self.keys = {key_id: limited(airoxy) for key_id in KEYS}
        for group_id in GROUPS:
            assert add_group(airoxy, f"group-{group_id}") == group_id

    def ask(self) -> None:
        key_id = self.draw.choice(KEYS)
        spent = self.model.spent(key_id)
        answer = ask(self.airoxy, self.keys[key_id])
        assert answer.status == (429 if spent else 200), (spent, answer)
        if spent:
            told = answer.json()["error"]["message"]
            names = {EVERYBODY: "The group of all API keys"}
            assert told.startswith(tuple(names.get(n, f"The group group-{n}") for n in spent))
        self.model.heard(key_id, answer)

    def burst(self) -> None:
        before = self.model.served.copy()
        asking = [self.draw.choice(KEYS) for _ in range(12)]
        with ThreadPoolExecutor(len(asking)) as pool:
            answers = list(pool.map(lambda key_id: ask(self.airoxy, self.keys[key_id]), asking))
        for key_id, answer in zip(asking, answers, strict=True):
            self.model.heard(key_id, answer)
        for holder, most in self.model.limits.items():
            assert most is None or self.model.served[holder] <= max(most, before[holder]) + 1

    def limit(self) -> None:
        holder = self.draw.choice((EVERYBODY, *GROUPS))
        most = self.draw.choice([None, self.model.served[holder] + self.draw.randint(1, 9)])
        # In total, since no midnight turns that over.
        set_group(self.airoxy, holder, "--spend-total", dollars(most * COST) if most else "none")
        self.model.limits[holder] = most

    def move(self) -> None:
        key_id, group_id = self.draw.choice(KEYS), self.draw.choice((None, *GROUPS))
        put(self.airoxy, key_id, group_id)
        self.model.group_of[key_id] = group_id

    def kill_worker(self) -> None:
        os.kill(worker(self.airoxy), signal.SIGKILL)

    def restart(self) -> None:
        self.airoxy.stop()
        self.airoxy.start()

    def kill(self) -> None:
        """What was answered is on its way to the database, and as a whole it may be lost."""
        self.check()
        self.airoxy.kill()
        self.airoxy.start()

    def check(self) -> None:
        """Rows, sums and what is counted for limits agree with what was answered."""
        model = self.model
        with self.airoxy.opened() as db:
            served = "SELECT count(*) FROM requests WHERE status_code = 200"
            wait(lambda: run(db, served) == [(model.served[EVERYBODY],)])
            for group_id in GROUPS:
                wanted = model.served[group_id] * COST
                for sql, number in (
                    ("requests WHERE group_id = ?", group_id),
                    ("daily WHERE group_id = ?", group_id),
                    ("spending WHERE spender = ?", group_id + GROUPS_FROM),
                ):
                    query = f"SELECT ifnull(sum(cost_nanousd), 0) FROM {sql}"
                    assert run(db, query, (number,)) == [(wanted,)], sql


@pytest.mark.parametrize("seed", [17, 18])
def test_sums_and_limits_of_groups_hold_whatever_happens(
    install: Callable[..., Watched], seed: int
) -> None:
    airoxy = install(workers=2)
    airoxy.token("sk-ant-api-test-one")
    draw = random.Random(seed)
    driver = Driver(airoxy.start(), draw)
    often = [driver.ask] * 12 + [driver.burst] * 2 + [driver.limit] * 3 + [driver.move] * 3
    for _ in range(STEPS):
        draw.choice([*often, driver.kill_worker, driver.restart, driver.kill])()
    driver.check()
