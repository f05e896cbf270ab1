"""What the machine can do to airoxy: kill it, fill its disk, hold its lock, take its descriptors.

AIROXY_KILLS (20) says how often it is killed, AIROXY_LOCKED (3) for how many seconds its database
is held.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import apsw
import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import TOKEN, Watched
from tests.reliability.raw import HELLO, Client, request

KILLS = int(os.environ.get("AIROXY_KILLS", "20"))
LOCKED = float(os.environ.get("AIROXY_LOCKED", "3"))
STREAM = HELLO.replace(b'"messages"', b'"stream":true,"messages"')
#: The same request is its own control: what it takes without the fault, plus this (seconds).
HITCH = 0.05


class Load:
    """Clients that ask without a pause; what became of every request, by its outcome."""

    def __init__(self, airoxy: Watched, key: str, clients: int = 4) -> None:
        self.airoxy, self.key = airoxy, key
        self.outcomes: Counter[str] = Counter()
        self.request_ids: set[str] = set()
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

    def slow(self) -> float:
        """What 99 of 100 requests took at the most (seconds); the last one is the machine's."""
        return sorted(self.durations)[len(self.durations) * 99 // 100]

    def _run(self, body: bytes) -> None:
        client = None
        while not self._stopping:
            started = time.monotonic()
            try:
                client = client or Client(self.airoxy)
                outcome = self._ask(client, body)
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
        assert (b"message_stop" if body is STREAM else b'"end_turn"') in answer.body
        self.request_ids.add(answer.headers[b"request-id"].decode())
        return "whole"


def worker(airoxy: Watched) -> int:
    return int(airoxy.request("GET", "/health").json()["pid"])


def integrity(path: Path) -> str:
    db = apsw.Connection(str(path))
    try:
        return str(next(iter(db.cursor().execute("PRAGMA integrity_check")))[0])
    finally:
        db.close()


def logged(path: Path) -> list[str]:
    """Anthropic's ids of the requests in the log."""
    db = apsw.Connection(str(path))
    try:
        db.cursor().execute("BEGIN")
        rows = db.cursor().execute("SELECT request_id FROM requests").fetchall()
        sums = db.cursor().execute("SELECT sum(requests) FROM daily").fetchall()
        assert (sums[0][0] or 0) == len(rows)
        return [row[0] for row in rows]
    finally:
        db.close()


# Killed


def test_workers_are_killed_at_any_moment(airoxy: Watched, key: str) -> None:
    lost = 0
    with Load(airoxy, key) as load:
        for _ in range(KILLS):
            load.wait_served(random.randrange(1, 40))
            time.sleep(random.random() / 100)
            before = len(set(logged(airoxy.database)))
            with contextlib.suppress(OSError):
                os.kill(worker(airoxy), signal.SIGKILL)
            lost += before > len(set(logged(airoxy.database)))
        load.wait_served(10)
    assert lost == 0
    assert load.outcomes["refused"] == 0  # the parent holds the door
    airoxy.stop()
    assert integrity(airoxy.database) == "ok"
    known = logged(airoxy.database)
    assert len(known) == len(set(known))
    # Only what was waiting for the writer when its process died.
    missing = load.request_ids - set(known)
    assert len(missing) <= KILLS * 40
    report("worker", load, missing)


def test_the_parent_is_killed_at_any_moment(airoxy: Watched, key: str) -> None:
    missing: set[str] = set()
    for _ in range(max(2, KILLS // 4)):
        with Load(airoxy, key) as load:
            load.wait_served(random.randrange(1, 40))
            assert airoxy.process
            children = Path(f"/proc/{airoxy.process.pid}/task/{airoxy.process.pid}/children")
            workers = [int(word) for word in children.read_text().split()]
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
    report("parent", load, missing)


def report(what: str, load: Load, missing: set[str]) -> None:
    """For docs/reliability.md; shown with `pytest -s`."""
    print(f"\n{what}: {dict(load.outcomes)}, not in the log: {len(missing)}")


def wait(holds: Callable[[], object], seconds: float = 20) -> None:
    """For what no event tells of."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# A disk that is full, a lock that is held


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)])
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def health(airoxy: Watched) -> dict[str, object]:
    return dict(airoxy.request("GET", "/health").json())


def test_a_full_disk_delays_the_log_and_no_request(
    small_disk: Path, install: Callable[..., Watched]
) -> None:
    airoxy = install(database=str(small_disk / "airoxy.db")).start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    ballast = small_disk / "ballast"
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(20)
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        wait(lambda: "warning" in health(airoxy))
        load.wait_served(100)
        told = health(airoxy)
        assert "full" in str(told["warning"])
        assert told["status"] == "ok"
        assert int(str(told["log_rows_waiting"])) > 50
        assert "requests go on" in airoxy.errors
        ballast.unlink()
        wait(lambda: "warning" not in health(airoxy))
    assert set(load.outcomes) == {"whole"}
    airoxy.stop()
    assert "can be written again" in airoxy.errors
    assert load.request_ids <= set(logged(airoxy.database))
    assert integrity(airoxy.database) == "ok"


def test_a_database_that_is_held_slows_no_request_down(airoxy: Watched, key: str) -> None:
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(50)
        load.durations.clear()
        load.wait_served(300)
        usual = load.slow()
        load.durations.clear()
        holder = apsw.Connection(str(airoxy.database))
        holder.cursor().execute("BEGIN EXCLUSIVE")
        deadline = time.monotonic() + LOCKED
        while time.monotonic() < deadline:
            load.wait_served(20)
        slow, slowest = load.slow(), max(load.durations)
        assert int(str(health(airoxy)["log_rows_waiting"])) > 20
        if LOCKED > 6:  # the writer waits for five seconds before it says so
            assert "locked" in str(health(airoxy)["warning"])
        holder.cursor().execute("ROLLBACK")
        holder.close()
        wait(lambda: "warning" not in health(airoxy))
        wait(lambda: int(str(health(airoxy)["log_rows_waiting"])) < 20)
    print(f"\nlocked for {LOCKED} s: {slow:.3f} s, usually {usual:.3f} s; slowest {slowest:.3f} s")
    assert slow < usual + HITCH
    assert slowest < 1  # who waited for the lock would have waited longer
    assert set(load.outcomes) == {"whole"}
    airoxy.stop()
    assert load.request_ids <= set(logged(airoxy.database))


# A database that is not what it should be


def nonsense(path: Path) -> None:
    path.write_bytes(b"This is no database." * 500)


def newer(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.cursor().execute("PRAGMA user_version = 99")
    db.close()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def strange(path: Path) -> None:
    path.unlink()
    db = apsw.Connection(str(path))
    db.cursor().execute("CREATE TABLE theirs (id)")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (nonsense, "is damaged"),
        (newer, "was written by a newer airoxy"),
        (cut, "is damaged"),
        (strange, "another program's database"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_and_left_as_it_is(
    install: Callable[..., Watched], spoil: Callable[[Path], None], said: str
) -> None:
    airoxy = install()
    airoxy.token(TOKEN)
    spoil(airoxy.database)
    before = airoxy.database.read_bytes()
    served = airoxy.run("serve")
    assert served.returncode == 1
    assert said in served.stderr
    assert "Traceback" not in served.stderr
    typed = airoxy.run("token", "list")
    assert (typed.returncode, len(typed.stderr.strip().splitlines())) == (1, 1)
    assert said in typed.stderr
    assert airoxy.database.read_bytes() == before
    assert not list(airoxy.database.parent.glob("airoxy.db.*"))


# Without descriptors


def test_without_descriptors_it_refuses_and_recovers_by_itself(
    install: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    airoxy = install().start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    pid = worker(airoxy)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (60, 60))
    crowd = []
    with contextlib.suppress(OSError):
        for _ in range(100):
            client = Client(airoxy)
            client.socket.settimeout(0.5)
            crowd.append(client)
    # Those who are in are served as far as there is a descriptor for the way upstream.
    answer = crowd[0].send(request(key)).answer()
    assert answer is None or answer.status in (200, 502, 503), answer
    for client in crowd:
        client.close()
    wait(lambda: served(airoxy, key))
    assert worker(airoxy) == pid
    assert "Traceback" not in airoxy.errors


def served(airoxy: Watched, key: str) -> bool:
    try:
        return airoxy.request("POST", "/v1/messages", HELLO, key=key).status == 200
    except OSError:
        return False


# A clock that jumps


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_by_an_hour_costs_no_request(
    install: Callable[..., Watched],
    upstream: FakeAnthropic,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    hours: int,
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    monkeypatch.setenv("AIROXY_TEST_CLOCK", str(offset))
    airoxy = install()
    airoxy.token(TOKEN)
    airoxy.token("sk-ant-api-test-two")
    airoxy.token("sk-ant-oat-test-three", "sk-ant-ort-test-three")
    key = airoxy.key()
    airoxy.start()
    upstream.script(token=TOKEN).limit(retry_after=30)
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(20)
        change(offset, hours * 3600)
        upstream.requests.clear()
        load.wait_served(50)
    assert set(load.outcomes) == {"whole"}
    # A cooling ends by the wall clock; one that was set before it was put back lasts longer.
    assert (TOKEN in upstream.tokens) == (hours > 0)
    rows = airoxy.wait_logs(70)
    assert all(0 <= row["duration_ms"] < 20_000 for row in rows)
    assert all(0 <= row["ttfb_ms"] <= row["duration_ms"] for row in rows)
    # Put right again, what was used in the meantime is no worse off than the others.
    change(offset, 0)
    upstream.requests.clear()
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(40)
    used = Counter(token for token in upstream.tokens if token != TOKEN)
    assert len(used) == 2
    assert min(used.values()) > 5


def change(offset: Path, seconds: int) -> None:
    """In one step: somebody may be reading."""
    new = offset.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(offset)
