"""What the machine can do to airoxy: fill its disk, hold its lock, take its descriptors,
turn its clock.

AIROXY_LOCKED (3) says for how many seconds its database is held.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import need
from tests.reliability.conftest import TOKEN, Watched
from tests.reliability.load import Load, figure, integrity, logged, opened, wait, worker
from tests.reliability.raw import HELLO, Client, request

LOCKED = float(os.environ.get("AIROXY_LOCKED", "3"))


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


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_delays_the_log_and_no_request(
    small_disk: Path, install: Callable[..., Watched]
) -> None:
    airoxy = install(database=str(small_disk / "airoxy.db")).start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(20)
        fill(small_disk)
        wait(lambda: "warning" in health(airoxy))
        load.wait_served(100)
        told = health(airoxy)
        assert "full" in str(told["warning"])
        assert told["status"] == "ok"
        assert int(str(told["log_rows_waiting"])) > 50
        assert "requests go on" in airoxy.errors
        (small_disk / "ballast").unlink()
        wait(lambda: "warning" not in health(airoxy))
    assert set(load.outcomes) == {"whole"}
    airoxy.stop()
    assert "can be written again" in airoxy.errors
    assert load.request_ids <= set(logged(airoxy.database))
    assert integrity(airoxy.database) == "ok"


def test_a_worker_starts_on_a_full_disk_although_it_cannot_take_back_a_refresh(
    small_disk: Path, install: Callable[..., Watched]
) -> None:
    airoxy = install(database=str(small_disk / "airoxy.db")).start()
    airoxy.token(TOKEN)
    airoxy.token("sk-ant-oat-test-two", "sk-ant-ort-test-two", name="two")
    key = airoxy.key()
    with airoxy.opened() as db:  # as a process leaves it that was killed while it refreshed
        db.cursor().execute(
            "UPDATE tokens SET refreshing_by = ?, refreshing_until = ?, refresh_asked_at = 1"
            " WHERE name = 'two'",
            (2**22 + 1, time.time() + 60),
        )
    fill(small_disk)
    before = worker(airoxy)
    os.kill(before, signal.SIGKILL)
    wait(lambda: served(airoxy, key) and worker(airoxy) != before)
    (small_disk / "ballast").unlink()
    wait(lambda: "warning" not in health(airoxy))
    assert "Interrupted refreshes are told of at the next start: FullError" in airoxy.errors


def test_a_database_that_is_held_slows_no_request_down(airoxy: Watched, key: str) -> None:
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(50)
        load.durations.clear()
        load.wait_served(300)
        if LOCKED > 6:  # for a figure to compare with
            time.sleep(LOCKED)
        before = load.spread()
        load.durations.clear()
        holder = opened(airoxy.database)
        holder.cursor().execute("BEGIN EXCLUSIVE")
        deadline = time.monotonic() + LOCKED
        # Half a minute is not enough for so many if one of twenty waits for the lock.
        load.wait_served(300)
        while time.monotonic() < deadline:
            load.wait_served(20)
        held = load.spread()
        assert int(str(health(airoxy)["log_rows_waiting"])) > 20
        if LOCKED > 6:  # the writer waits for five seconds before it says so
            assert "locked" in str(health(airoxy)["warning"])
        holder.cursor().execute("ROLLBACK")
        holder.close()
        wait(lambda: "warning" not in health(airoxy))
        wait(lambda: int(str(health(airoxy)["log_rows_waiting"])) < 20, seconds=20 + 3 * LOCKED)
    figure(f"database locked for {LOCKED:g} s: {held} (half, 99 of 100, slowest); before: {before}")
    assert set(load.outcomes) == {"whole"}
    airoxy.stop()
    assert load.request_ids <= set(logged(airoxy.database))


# A disk that becomes read-only


class FailingDisk:
    """An ext4 of its own in a file, on which the kernel can be made to find an error."""

    def __init__(self, directory: Path) -> None:
        self.image, self.place = directory / "image", directory / "disk"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run([need("mkfs.ext4"), "-q", str(self.image)], check=True)

    def mount(self) -> None:
        command = ["mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.place)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("nothing may be mounted here")

    def fail(self) -> None:
        """Read-only from now on, also for those who have files open."""
        command = ["findmnt", "-no", "SOURCE", str(self.place)]
        device = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel makes no errors")
        os.sync()
        trigger.write_text("a test")

    def repair(self) -> None:
        """Go on with a copy: whoever has copied this machine's mounts for itself meanwhile keeps
        the broken one."""
        subprocess.run(["umount", str(self.place)], check=True)
        self.image = shutil.copy(self.image, self.image.with_name("repaired"))
        done = subprocess.run([need("e2fsck"), "-fy", str(self.image)], capture_output=True)
        assert done.returncode in (0, 1), done
        self.mount()


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[FailingDisk]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    disk = FailingDisk(tmp_path)
    disk.mount()
    yield disk
    subprocess.run(["umount", "--lazy", str(disk.place)], check=True)


def test_a_disk_that_becomes_read_only_stops_the_log_and_no_request(
    failing_disk: FailingDisk, install: Callable[..., Watched]
) -> None:
    airoxy = install(database=str(failing_disk.place / "airoxy.db")).start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(20)
        failing_disk.fail()
        wait(lambda: "warning" in health(airoxy))
        load.wait_served(50)
        told = health(airoxy)
    assert set(load.outcomes) == {"whole"}
    assert told["status"] == "ok"
    typed = airoxy.run("token", "list")
    assert "Traceback" not in typed.stderr
    airoxy.stop()  # what it could not write it says
    assert "log rows are lost" in airoxy.errors
    refused = airoxy.run("serve")
    assert refused.returncode == 1
    assert "is its disk read-only or full?" in refused.stderr
    assert "Traceback" not in refused.stderr
    failing_disk.repair()
    assert integrity(airoxy.database) == "ok"
    airoxy.start()
    assert served(airoxy, key)


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
    # A cooldown of an hour, and for everything, since each request of the load names another model.
    upstream.script(token=TOKEN).status(400, "Your credit balance is too low.")
    with Load(airoxy, key, clients=2) as load:
        load.wait_served(20)
        change(offset, hours * 3600)
        upstream.forget_requests()
        load.wait_served(50)
    assert set(load.outcomes) == {"whole"}
    # A cooling ends by the wall clock; one that was set before it was put back lasts longer.
    assert (TOKEN in upstream.tokens) == (hours > 0)
    rows = airoxy.wait_logs(70)
    assert all(0 <= row["duration_ms"] < 20_000 for row in rows)
    assert all(0 <= row["ttfb_ms"] <= row["duration_ms"] for row in rows)
    # Put right again, what was used in the meantime is no worse off than the others.
    change(offset, 0)
    upstream.forget_requests()
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
