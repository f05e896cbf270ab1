"""What tests of refreshes have in common: an endpoint that is asked or not, a pair, and its row."""

from __future__ import annotations

from collections.abc import Callable

import apsw

from airoxy.config import OAuth, make_config
from airoxy.core.oauth import Answer, Refreshed
from airoxy.store import tokens
from tests.conftest import Clock

OLD, OLD_REFRESH = "sk-ant-oat-test-old", "sk-ant-ort-test-old"
NEW, NEW_REFRESH = "sk-ant-oat-test-new", "sk-ant-ort-test-new"
OAUTH = make_config().oauth


class Endpoint:
    """Answers what it is told to, in turn, and remembers with what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(
        self, _: OAuth, refresh_token: str, clock: Clock, sending: Callable[[], None]
    ) -> Answer:
        sending()
        self.asked.append(refresh_token)
        return self.answers.pop(0)


def renewed(clock: Clock) -> Refreshed:
    return Refreshed(NEW, NEW_REFRESH, int(clock()) + 28800)


def row(db: apsw.Connection, clock: Clock) -> dict:
    return tokens.list_tokens(db, clock())[0]


def secrets(db: apsw.Connection) -> tuple[str, str]:
    pair = "SELECT unseal(token), unseal(refresh_token) FROM tokens"
    return next(iter(db.cursor().execute(pair)))
