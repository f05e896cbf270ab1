"""The database's file is moved away, deleted or replaced under the running service."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.reliability.conftest import Watched
from tests.reliability.load import wait
from tests.reliability.raw import HELLO, Client, request


def warning(airoxy: Watched) -> str:
    return str(airoxy.request("GET", "/health").json().get("warning", ""))


def ask(airoxy: Watched, key: str) -> int:
    client = Client(airoxy)
    try:
        answer = client.send(request(key, HELLO)).answer()
        assert answer
        return answer.status
    finally:
        client.close()


def moved(airoxy: Watched) -> Path:
    return airoxy.database.with_name("elsewhere.db")


def test_a_database_that_is_moved_away_is_reported_and_goes_on_when_it_is_back(
    airoxy: Watched, key: str
) -> None:
    airoxy.database.rename(moved(airoxy))
    assert "is gone" in warning(airoxy)
    wait(lambda: "is gone; put it back" in airoxy.errors)
    assert ask(airoxy, key) == 200
    refused = airoxy.run("token", "list")
    assert refused.returncode == 1
    assert "put the database back" in refused.stderr
    assert not airoxy.database.exists()
    moved(airoxy).rename(airoxy.database)
    assert warning(airoxy) == ""
    wait(lambda: "is back where it was" in airoxy.errors)
    assert ask(airoxy, key) == 200
    wait(lambda: len(airoxy.json("logs")) == 2)


def test_a_database_that_is_replaced_is_reported_until_the_service_is_restarted(
    airoxy: Watched, key: str
) -> None:
    airoxy.cli("backup", str(moved(airoxy)))
    moved(airoxy).replace(airoxy.database)
    assert "was replaced" in warning(airoxy)
    wait(lambda: "was replaced; restart airoxy" in airoxy.errors)
    assert "was replaced" in airoxy.cli("doctor", status=1)
    assert ask(airoxy, key) == 200
    airoxy.stop()
    airoxy.start()
    assert warning(airoxy) == ""
    assert ask(airoxy, key) == 200


def test_a_service_does_not_start_on_what_is_left_of_a_deleted_database(
    airoxy: Watched, key: str, tmp_path: Path
) -> None:
    assert ask(airoxy, key) == 200
    wal = airoxy.database.with_name(f"{airoxy.database.name}-wal")
    wait(lambda: wal.stat().st_size)
    shutil.copy(wal, tmp_path / "wal")
    airoxy.stop()
    airoxy.database.unlink()
    shutil.copy(tmp_path / "wal", wal)
    refused = airoxy.run("serve")
    assert refused.returncode == 1
    assert "put the database back" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not airoxy.database.exists()
