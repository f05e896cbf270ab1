"""What Claude Code makes of one conversation: forks, fresh starts, subagents, runs side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.programs import CLAUDE, Home
from tests.fake_anthropic import FakeAnthropic
from tests.fake_anthropic.script import Seen
from tests.program import Airoxy

pytestmark = pytest.mark.clients

#: What is done in a home.
Way = Callable[[Home, FakeAnthropic, Airoxy], None]


def says(home: Home, prompt: str, *arguments: str) -> str:
    """Have the program answer this; the id of the session that it was in."""
    told = home.run(CLAUDE, "-p", prompt, "--output-format", "json", *arguments)
    return json.loads(told)["session_id"]


def forks(home: Home, _: FakeAnthropic, __: Airoxy) -> None:
    first = says(home, "Remember the number 42.")
    for _ in range(2):
        fork = says(home, "And now?", "--resume", first, "--fork-session")
        says(home, "And then?", "--resume", fork)
    says(home, "And what of the first?", "--resume", first)


def fresh_start(home: Home, upstream: FakeAnthropic, airoxy: Airoxy) -> None:
    said = ["Topic one", "Topic one, more", "/clear", "Topic two", "Topic two, more"]
    typed, last = [keys for text in said for keys in (text, "\r")], said[-1].encode()

    def has_ended() -> bool:
        """All that was asked is in the log; who leaves before has not used all of its answer."""
        asked = upstream.messages
        return any(last in seen.body for seen in asked) and len(airoxy.wait_logs(0)) >= len(asked)

    home.type(
        CLAUDE,
        typed=typed,
        until=has_ended,
        # What is typed while it waits for an answer would become part of the next question.
        may_type=lambda: all(seen.answered_at for seen in upstream.messages),
    )


def subagents(home: Home, upstream: FakeAnthropic, _: Airoxy) -> None:
    def is_main(seen: Seen) -> bool:
        return b"Find out twice" in seen.body

    turns = upstream.script(path="/v1/messages", when=is_main)
    for word in ("once", "twice"):
        agent = {"prompt": f"Look {word}", "subagent_type": "general-purpose"}
        turns.tool_use("Task", agent | {"description": word})
    looking = upstream.script(path="/v1/messages", when=lambda seen: not is_main(seen))
    for _ in range(2):
        looking.tool_use("Bash", {"command": "echo looked", "description": "Look"})
    says(home, "Find out twice", "--allowedTools", "Bash,Task,Agent")


@pytest.fixture
def use(
    install: Callable[[], Airoxy], upstream: FakeAnthropic, tmp_path: Path
) -> Callable[..., list[dict]]:
    """The log of what these did, each in a home of its own, on so many upstream tokens."""

    def use(tokens: int, *ways: Way) -> list[dict]:
        airoxy = install().start()
        for number in range(tokens):
            airoxy.token(f"sk-ant-api-test-{tokens}-{number}")
        upstream.clear()
        upstream.keep_conversations()
        credential = {"ANTHROPIC_AUTH_TOKEN": airoxy.key()}
        homes = [Home(tmp_path / f"home {n}", airoxy.url, credential) for n in range(len(ways))]
        with ThreadPoolExecutor(len(ways)) as pool:
            list(pool.map(lambda way, home: way(home, upstream, airoxy), ways, homes))
        return airoxy.wait_logs(len(upstream.messages))

    return use


def tokens_by_session(upstream: FakeAnthropic) -> dict[str, set[str]]:
    sessions: dict[str, set[str]] = {}
    for seen in upstream.messages:
        session = json.loads(seen.json()["metadata"]["user_id"])["session_id"]
        sessions.setdefault(session, set()).add(seen.token)
    return sessions


@pytest.mark.parametrize("way", [forks, fresh_start])
def test_it_costs_on_six_tokens_what_it_costs_on_one(way, use, upstream):
    one, six = (sum(row["cost_nanousd"] for row in use(count, way)) for count in (1, 6))
    assert one == six > 0
    assert all(len(tokens) == 1 for tokens in tokens_by_session(upstream).values())


def test_subagents_are_where_the_one_is_that_sent_them(use, upstream):
    """They run in the background, so that what each finds in the cache depends on the moment."""
    use(4, subagents)
    (tokens,) = tokens_by_session(upstream).values()
    assert len(tokens) == 1
    assert sum(b"Find out twice" not in seen.body for seen in upstream.messages) >= 3


def test_runs_side_by_side_with_the_same_words_share_the_tokens_and_stay_where_they_are(
    use, upstream
):
    """By its first message alone a script that is run many times would use one token."""
    # Of four names that are drawn by lot, all would stay with one token in a run of 64.
    names = iter([f"00000000-0000-4000-8000-00000000000{number}" for number in range(4)])

    def run(home: Home, _: FakeAnthropic, __: Airoxy) -> None:
        says(home, "Go on", "--resume", says(home, "The same words", "--session-id", next(names)))

    use(4, *4 * [run])
    sessions = tokens_by_session(upstream)
    assert len(sessions) == 4
    assert all(len(tokens) == 1 for tokens in sessions.values())
    assert len(set.union(*sessions.values())) > 1
