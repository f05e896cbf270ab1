"""That the chaos would see it if a promise was broken: each is, once, in what a run has left."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.chaos.promises import DESCRIPTORS, MARK, MEMORY, broken, grown, held
from tests.reliability.conftest import Watched
from tests.store.seed import append, row

MODEL = "claude-opus-5-5-1"


@dataclass
class Left:
    """What a run has left, of one request: the service, Anthropic's books and the clients'."""

    airoxy: Watched
    key: str
    asked: set[str] = field(default_factory=lambda: {MODEL})
    billed: dict[str, tuple[int, int]] = field(default_factory=lambda: {MODEL: (10, 20)})
    refreshed: Counter[str] = field(default_factory=lambda: Counter({f"sk-ant-ort-{MARK}-one": 1}))
    whole: set[str] = field(default_factory=lambda: {MODEL})
    faults: list[str] = field(default_factory=list)

    def found(self) -> list[str]:
        return broken(self.airoxy, self, self, self.key)

    def sql(self, statement: str) -> None:
        with self.airoxy.opened() as db:
            db.cursor().execute(statement)

    def say(self, line: str) -> None:
        with self.airoxy.log.open("a") as log:
            log.write(f"{line}\n")


@pytest.fixture
def left(tmp_path: Path) -> Left:
    airoxy = Watched(tmp_path / "airoxy", "http://127.0.0.1:9")
    airoxy.token(f"sk-ant-oat-{MARK}-one", f"sk-ant-ort-{MARK}-one", name="one")
    left = Left(airoxy, airoxy.key())
    with airoxy.opened() as db:
        append(db, row(model=MODEL, input_tokens=10, output_tokens=20))
    left.say("airoxy was here")
    return left


def lose_row(left: Left) -> None:
    left.sql("DELETE FROM requests; DELETE FROM daily")


def write_row_twice(left: Left) -> None:
    with left.airoxy.opened() as db:
        append(db, row(model=MODEL, input_tokens=10, output_tokens=20))


def miscount(left: Left) -> None:
    left.billed[MODEL] = (10, 21)


def forget_a_sum(left: Left) -> None:
    left.sql("UPDATE daily SET cost_nanousd = 0")


def damage(left: Left) -> None:
    size = left.airoxy.database.stat().st_size
    with left.airoxy.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def deactivate(left: Left) -> None:
    left.sql("UPDATE tokens SET is_active = 0, inactive_reason = 'no reason'")


def spend_twice(left: Left) -> None:
    left.refreshed[f"sk-ant-ort-{MARK}-one"] += 1


BREAKS: dict[Callable[[Left], None], str] = {
    lose_row: "has 0 rows",
    write_row_twice: "has 2 rows",
    miscount: "counted [10, 20], billed (10, 21)",
    forget_a_sum: "sums: (1, 10, 20, 0)",
    damage: "integrity",
    deactivate: "one is not active: no reason",
    spend_twice: "a refresh token of one was sent 2 times",
    lambda left: left.say(f"Bearer sk-ant-oat-{MARK}"): "a token in stderr",
    lambda left: left.say(left.key): "the client key in stderr",
    lambda left: left.say("Traceback (most recent call last):"): "a traceback",
    lambda left: left.faults.append("a client: unwell"): "a client: unwell",
}


def test_nothing_is_found_where_nothing_is_broken(left: Left) -> None:
    assert left.found() == []


@pytest.mark.parametrize("break_it", BREAKS, ids=BREAKS.values())
def test_each_broken_promise_is_found(left: Left, break_it: Callable[[Left], None]) -> None:
    break_it(left)
    found = left.found()
    assert any(BREAKS[break_it] in each for each in found), found


@pytest.mark.parametrize(
    "said", ["A refresh of token 1 (one) was interrupted.", "Token 1 (one): gone; it stays active"]
)
def test_a_refresh_without_an_answer_excuses_its_token_alone(left: Left, said: str) -> None:
    spend_twice(left)
    deactivate(left)
    left.say(said)
    assert left.found() == []
    left.airoxy.log.write_text(said.replace("(one)", "(two)"))
    assert len(left.found()) == 2


@pytest.mark.parametrize(
    ("name", "more"), [("processes", 1), ("memory", MEMORY + 1), ("descriptors", DESCRIPTORS + 1)]
)
def test_what_has_grown_is_found(name: str, more: int) -> None:
    before = held([os.getpid()])
    assert grown(before, before) == []
    assert [each.split(":")[0] for each in grown(before, before | {name: before[name] + more})] == [
        name
    ]
