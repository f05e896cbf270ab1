"""An expired token met by requests: renewed once, for all who wait."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from tests.fake_anthropic.api import OAUTH_PATH
from tests.program import Airoxy, unix
from tests.server.pool.pooled import OAUTH, OAUTH_REFRESH, TWO, ask, listed


def test_fifty_requests_and_two_commands_make_one_refresh_and_all_are_served(airoxy, upstream):
    airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    upstream.revoke(OAUTH)
    key = airoxy.key()
    hold = upstream.script(path=OAUTH_PATH).hold()
    commands = [airoxy.begin("token", "refresh") for _ in range(2)]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(airoxy, key).status)) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    hold.wait_arrived()
    upstream.wait(lambda: upstream.tokens.count(OAUTH) == 50)
    for command in commands:
        _wait_for_its_turn(command.pid, airoxy.database)
    hold.open()
    for thread in threads:
        thread.join()
    assert answers == [200] * 50
    assert [command.wait(60) for command in commands] == [0, 0]
    assert len(upstream.refreshes) == 1
    assert len({token for token in upstream.tokens if token != OAUTH}) == 1


def _wait_for_its_turn(pid: int, database: Path) -> None:
    """Until the process has the database open and sleeps: it waits for the lease, or holds it."""
    files: set[str] = set()
    while True:
        with contextlib.suppress(FileNotFoundError):  # one that was closed between two looks
            files = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
        if str(database) in files and "S (sleeping)" in Path(f"/proc/{pid}/status").read_text():
            return


def _add_expiring(airoxy: Airoxy) -> None:
    """An OAuth pair that has expired."""
    pair = f"{OAUTH} {OAUTH_REFRESH}"
    airoxy.cli("token", "add", "-", "--name", "pair", "--expires-in", "1", "--no-check",
                stdin=pair)  # fmt: skip
    while unix(listed(airoxy)["pair"]["expires_at"]) > time.time():
        pass


def test_an_expired_token_is_renewed_before_it_is_used(airoxy, upstream):
    _add_expiring(airoxy)
    upstream.revoke(OAUTH)
    assert ask(airoxy, airoxy.key()).status == 200
    assert len(upstream.refreshes) == 1
    assert OAUTH not in upstream.tokens


def test_a_list_that_renews_a_token_leaves_its_place_to_others(airoxy, upstream):
    """Whose `after_id` does not say in which account it goes on."""
    _add_expiring(airoxy)
    airoxy.cli("token", "set", "1", "--concurrent", "1")
    key = airoxy.key()
    upstream.revoke(OAUTH)
    assert airoxy.request("GET", "/v1/files?after_id=file_1", key=key).status == 404
    assert len(upstream.refreshes) == 1
    assert [ask(airoxy, key).status for _ in range(2)] == [200, 200]


def test_while_another_token_is_ready_an_expired_one_holds_nobody_up(airoxy, upstream):
    _add_expiring(airoxy)
    airoxy.token(TWO)
    assert ask(airoxy, airoxy.key()).status == 200
    assert upstream.tokens == [TWO]
    assert not upstream.refreshes


def test_a_refresh_that_cannot_open_the_database_leaves_the_request_to_another_token(
    airoxy, upstream
):
    airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    airoxy.token(TWO)
    key = airoxy.key()
    assert ask(airoxy, key).status == 200  # all of it is known to the server
    upstream.revoke(OAUTH)
    away = airoxy.database.rename(airoxy.database.with_name("away"))
    assert [ask(airoxy, key).status for _ in range(2)] == [200, 200]
    assert OAUTH in upstream.tokens[1:]
    assert not upstream.refreshes
    away.rename(airoxy.database)


def test_the_answer_of_a_single_token_passes_where_its_refresh_cannot_open_the_database(
    airoxy, upstream
):
    airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    key = airoxy.key()
    assert ask(airoxy, key).status == 200
    upstream.revoke(OAUTH)
    away = airoxy.database.rename(airoxy.database.with_name("away"))
    assert ask(airoxy, key).status == 401
    away.rename(airoxy.database)
    assert ask(airoxy, key).status == 200
    assert len(upstream.refreshes) == 1
