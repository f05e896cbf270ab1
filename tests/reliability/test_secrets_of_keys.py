"""Random sequences of keys that are made, rotated, disabled and removed, and of servers that are
killed or stopped: each secret is accepted when, and only when, it should be."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import pytest

from airoxy.core.keys import new_key
from airoxy.server.proxy.proxy import SNAPSHOT_TTL
from airoxy.store import keys
from tests.program import Airoxy

STEPS = 50


@dataclass
class Key:
    id: int
    secret: str
    is_active: bool = True
    is_removed: bool = False
    ends: dict[str, float] = field(default_factory=dict)

    def rotate(self, secret: str | None, end: float) -> None:
        self.ends = {old: min(known, end) for old, known in self.ends.items()}
        if secret:
            self.ends[self.secret] = end
            self.secret = secret


class World:
    """What was done to the keys, and what follows from it."""

    def __init__(self, airoxy: Airoxy, draw: random.Random) -> None:
        self.airoxy, self.draw = airoxy, draw
        self.keys: list[Key] = []
        self.done: list[str] = []

    def new_secret(self) -> str:
        return new_key(self.draw.choice)

    def step(self) -> None:
        there = [key for key in self.keys if not key.is_removed]
        what = self.draw.choices(
            ["add", "rotate", "finish", "toggle", "remove", "kill", "stop"],
            [2, 6, 1, 3, 1, 0.7, 0.7],
        )[0]
        if not there or what == "add":
            what = "add"
        key = self.draw.choice(there) if there else None
        self.done.append(f"{what} {key.id if key and what != 'add' else ''}")
        with self.airoxy.opened() as db:
            if what == "add" or key is None:
                secret, name = self.new_secret(), f"key-{len(self.keys)}"
                self.keys.append(Key(keys.add_key(db, name, secret, time.time()), secret))
            elif what in ("rotate", "finish"):
                secret = self.new_secret() if what == "rotate" else None
                overlap, now = self.draw.choice([0, 1, 2, 3600]), time.time()
                overlap = overlap if secret else 0
                keys.rotate_key(db, key.id, secret, overlap, now)
                key.rotate(secret, int(now) + overlap)
                self.done[-1] += f" for {overlap}"
            elif what == "toggle":
                key.is_active = keys.toggle_key(db, key.id)
            elif what == "remove":
                keys.remove_key(db, key.id, time.time())
                key.is_removed = True
        if what in ("kill", "stop"):
            getattr(self.airoxy, what)()
            self.airoxy.start()

    def check(self, count: int | None = None) -> None:
        """Ask with these secrets, or with all."""
        time.sleep(2 * SNAPSHOT_TTL)  # for so long a worker goes by what it has read
        known = [(key, secret) for key in self.keys for secret in (key.secret, *key.ends)]
        for key, secret in (
            known if count is None else self.draw.sample(known, min(count, len(known)))
        ):
            before = time.time()
            status = self.airoxy.request("GET", "/v1/models", key=secret).status
            end = key.ends.get(secret)
            if end is not None and before < end <= time.time():
                continue  # nobody knows on which side of its end it came
            good = key.is_active and not key.is_removed and (end is None or before < end)
            assert status == (200 if good else 401), (key, secret == key.secret, self.done)


@pytest.mark.parametrize("seed", range(2))
def test_a_secret_is_accepted_exactly_while_it_should_be(install, seed: int) -> None:
    airoxy = install(workers=2).start()
    airoxy.token("sk-ant-api-test", name="pool")
    world = World(airoxy, random.Random(seed))
    for _ in range(STEPS):
        world.step()
        world.check(3)
    world.check()
    with airoxy.opened() as db:
        rows = {key["id"]: key for key in keys.list_keys(db)}
    assert set(rows) == {key.id for key in world.keys if not key.is_removed}
