"""`airoxy doctor`: each fault is planted, named, repaired or told; what is in order stays so."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.cli import generated, main
from airoxy.cli.command import Context
from airoxy.cli.doctor import checks, examine, finding, line, program, summary
from airoxy.cli.doctor.finding import FAIL, FIXED, OK, WARN, Finding, Patient
from airoxy.cli.doctor.port import strangers
from airoxy.store import keys, tokens
from airoxy.store.migrations import MIGRATIONS
from airoxy.store.schema import open_database, run
from tests.cli.fake_systemd import FakeSystemd
from tests.cli.old_airoxy import OldAiroxy
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, free_port

ROOT = Path(__file__).parents[2]
#: As long as nobody serves there is this warning.
UNSERVED = {"health"}


class Ward:
    """An airoxy without the package, in a directory of its own: healthy to begin with."""

    def __init__(self, directory: Path, upstream: str) -> None:
        directory.mkdir(0o750)
        self.config = directory.parent / "airoxy.yaml"
        self.database = directory / "airoxy.db"
        self.now = time.time()
        self.settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": free_port(),
            "database": str(self.database),
            "upstream": {"url": upstream},
            "oauth": {"endpoint": f"{upstream}/v1/oauth/token"},
        }
        self.configure()
        with closing(open_database(self.database)) as db:
            keys.add_key(db, "client", "ak-test", self.now)
            self.token(db)
        for copy in directory.glob("airoxy.db.before-*"):
            copy.unlink()

    def configure(self, **settings: Any) -> None:
        self.config.write_text(json.dumps(self.settings | settings))

    def token(self, db: apsw.Connection, name: str = "console", **given: Any) -> int:
        plain = {"type": "api_key", "token": f"sk-ant-api-test-{name}", "refresh_token": None,
                 "expires_at": None, "now": self.now}  # fmt: skip
        return tokens.add_token(db, name=name, **(plain | given))

    def sql(self, *statement: Any) -> list[Any]:
        with closing(open_database(self.database)) as db:
            return run(db, *statement)

    def patient(self, root: Path = Path("/nowhere")) -> Patient:
        context = Context(self.config, environ={}, out=io.StringIO(), clock=lambda: self.now)
        return Patient(context, root)

    def examine(self, *, fix: bool = False, patient: Patient | None = None) -> list[Finding]:
        return list(examine(patient or self.patient(), checks(), repair=fix))

    def complaints(self, *, fix: bool = False) -> dict[str, Finding]:
        """What is not in order, without what nobody serves for."""
        found = self.examine(fix=fix)
        return {each.check: each for each in found if each.state != OK and each.check != "health"}

    def listing(self) -> dict[str, tuple[int, int, int, str]]:
        """Everything there is, with owner, mode and contents."""
        return {
            str(path): (
                path.stat().st_uid,
                path.stat().st_gid,
                path.stat().st_mode,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            )
            for path in [self.config, *self.database.parent.rglob("*"), self.database.parent]
        }


@pytest.fixture
def ward(tmp_path: Path, upstream: FakeAnthropic) -> Ward:
    return Ward(tmp_path / "state", upstream.url)


@pytest.fixture(autouse=True)
def _here_is_no_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wherever the tests run."""
    monkeypatch.setattr("airoxy.cli.system.BOOTED", tmp_path / "not-booted")


# -- in order


def test_a_healthy_installation_has_nothing_to_complain_about_and_is_left_alone(
    ward: Ward,
) -> None:
    before = ward.listing()
    found = ward.examine(fix=True)
    assert {each.state for each in found if each.check not in UNSERVED} == {OK}
    assert ward.listing() == before


def test_every_finding_is_one_line_without_a_secret(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        ward.token(db, "login", type="oauth", token="sk-ant-oat-test-x",
                   refresh_token="sk-ant-ort-test-x", expires_at=5)  # fmt: skip
    found = ward.examine()
    assert len(found) > 10
    for each in found:
        assert "\n" not in line(each)
        assert "sk-ant" not in line(each)
        assert each.text.endswith(".") or each.check == "packages", each


def test_the_command_prints_lines_a_summary_and_json(ward: Ward) -> None:
    ward.sql("DELETE FROM api_keys")
    command = [sys.executable, "-m", "airoxy", "--config", str(ward.config), "doctor"]
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nwarn   keys           There is no client key yet" in done.stdout
    assert re.search(r"\n\nTo be looked at: .*keys\.\n$", done.stdout)
    done = subprocess.run([*command, "--json"], cwd=ROOT, env=environ, capture_output=True)
    (told,) = [each for each in json.loads(done.stdout) if each["check"] == "keys"]
    assert told["state"] == "warn"
    assert told["remedy"] == "sudo airoxy api-key add --name NAME"
    assert told["fixable"] is False
    ward.configure(workers=0)
    assert subprocess.run(command, cwd=ROOT, env=environ, capture_output=True).returncode == 1


def test_a_check_that_fails_by_itself_is_a_finding_and_the_others_go_on(ward: Ward) -> None:
    def broken(_: Patient) -> Iterator[Finding]:
        raise ZeroDivisionError("oops")

    def fine(_: Patient) -> Iterator[Finding]:
        yield Finding(OK, "Good.")

    found = list(examine(ward.patient(), (("broken", broken), ("fine", fine)), repair=True))
    assert [(each.check, each.state) for each in found] == [("broken", FAIL), ("fine", OK)]
    assert "ZeroDivisionError: oops" in found[0].text


def test_what_was_repaired_is_looked_at_again(ward: Ward) -> None:
    ill = {"first", "second"}

    def check(_: Patient) -> Iterator[Finding]:
        for name in sorted(ill):
            fix = partial(heal, name)
            yield Finding(FAIL, f"The {name} is ill.", "Rest.", fix, check=name)

    def heal(name: str) -> str:
        if name == "second":
            raise OSError(28, "No space left on device")
        ill.remove(name)
        return f"The {name} is well."

    found = list(examine(ward.patient(), (("many", check),), repair=True))
    assert [(each.check, each.state) for each in found] == [("first", FIXED), ("second", FAIL)]
    assert found[1].remedy.startswith("Rest. Could not be repaired:")
    assert summary(found) == "\nRepaired: first. Wrong: second."


def test_the_package_is_only_looked_at_by_root(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Patient, "packaged", True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["--config", str(ward.config), "doctor"]) == 1
    assert "sudo airoxy doctor" in capsys.readouterr().err


#: In a process without threads, as the command is: it forks.
_AS_OWNER = """
import os, sys
from pathlib import Path
from airoxy.cli.command import Context
from airoxy.cli.doctor.finding import Patient
from airoxy.errors import AiroxyError

patient = Patient(Context(Path(sys.argv[1]), environ={}))
print(patient.as_owner(lambda: (os.getuid(), os.getgid(), os.getgroups())), os.getuid())
for work in (lambda: {}["gone"], lambda: os._exit(1)):
    try:
        patient.as_owner(work)
    except AiroxyError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, as root can")
def test_the_database_is_only_touched_as_its_owner(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "state", "http://127.0.0.1:9")
    os.chown(ward.database.parent, 12345, 12345)
    command = [sys.executable, "-c", _AS_OWNER, str(ward.config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "(12345, 12345, []) 0",
        "KeyError: 'gone'",
        "The process that looked at the database died.",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, as root can")
def test_every_line_is_printed_once_whoever_owns_the_database(ward: Ward) -> None:
    for path in (ward.database.parent, ward.database):
        os.chown(path, 12345, 12345)
    ward.database.parent.parent.chmod(0o755)
    command = [sys.executable, "-m", "airoxy", "--config", str(ward.config), "doctor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.count("packages") == 1


# -- program and configuration


def test_the_packages_are_those_of_setup_cfg() -> None:
    text = (ROOT / "setup.cfg").read_text()
    block = re.search(r"^install_requires =\n((?: +.*\n)+)", text, re.MULTILINE)
    assert block
    wanted = dict(line.strip().split(">=") for line in block[1].splitlines())
    assert {name: least for _, name, _, least in program.PACKAGES} == wanted


def test_the_debian_packages_are_those_of_debian_control() -> None:
    control = (ROOT / "debian" / "control").read_text()
    for _, _, package, _ in program.PACKAGES:
        assert f"\n {package}" in control.partition("\nDepends:")[2]


def test_a_package_that_is_missing_or_too_old_is_named(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = (("nowhere", "nowhere", "python3-nowhere", "1"),
                ("httpx", "httpx", "python3-httpx", "99.1"))  # fmt: skip
    monkeypatch.setattr(program, "PACKAGES", packages)
    missing, old = program.packages(ward.patient())
    assert (missing.state, old.state) == (FAIL, FAIL)
    assert "nowhere does not load" in missing.text
    assert "apt-get install --reinstall python3-nowhere" in missing.remedy
    assert re.fullmatch(r"httpx [\d.]+ is too old, 99.1 is needed\.", old.text)


def test_every_mistake_in_the_configuration_is_a_line(ward: Ward) -> None:
    ward.config.write_text(f"prot: 1\ndatabase: {ward.database}\nworkers: 0\n")
    found = [each for each in ward.examine() if each.check == "configuration"]
    assert [each.state for each in found] == [FAIL, FAIL]
    assert f"{ward.config}:1: prot" in found[0].text
    assert f"{ward.config}:3: workers" in found[1].text
    # The rest goes by what could be understood.
    assert any(str(ward.database) in each.text for each in ward.examine() if each.state == OK)


def test_a_configuration_that_is_not_there_is_named(ward: Ward) -> None:
    ward.config.unlink()
    (found,) = program.configuration(ward.patient())
    assert (found.state, found.text) == (FAIL, f"{ward.config} is not there.")


# -- files


def test_a_missing_directory_is_named(ward: Ward) -> None:
    shutil.rmtree(ward.database.parent)
    found = ward.complaints()
    assert found["directory"].state == FAIL
    assert found["directory"].remedy == f"mkdir -p {ward.database.parent}"
    assert {"database", "database file"}.isdisjoint(found)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o666, 0o200])
def test_a_wrong_mode_is_repaired(ward: Ward, mode: int) -> None:
    ward.database.chmod(mode)
    found = ward.complaints()["database file"]
    assert (found.state, f"mode {mode:04o}" in found.text) == (FAIL, True)
    assert ward.complaints(fix=True)["database file"].state == FIXED
    assert ward.database.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_mode_that_is_in_order_stays(ward: Ward, mode: int) -> None:
    ward.database.chmod(mode)
    assert ward.complaints(fix=True) == {}
    assert ward.database.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, as root can")
def test_a_wrong_owner_is_repaired_backups_included(ward: Ward) -> None:
    backup = ward.database.with_name("airoxy.db.before-1")
    shutil.copy(ward.database, backup)
    backup.chmod(0o600)
    os.chown(backup, 12345, 12345)
    found = ward.complaints()["database file"]
    assert "airoxy.db.before-1 belongs to user 12345 and not to root" in found.text
    assert ward.complaints(fix=True)["database file"].state == FIXED
    assert backup.stat().st_uid == 0


def test_the_key_to_the_tokens_is_looked_after_too(ward: Ward) -> None:
    key = ward.database.with_name("token.key")
    key.chmod(0o644)
    assert f"{key} holds secrets" in ward.complaints()["database file"].text
    assert ward.complaints(fix=True)["database file"].state == FIXED
    assert key.stat().st_mode & 0o777 == 0o600


def test_nothing_is_repaired_through_a_link(ward: Ward, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o644)
    link = ward.database.with_name("airoxy.db.before-9")
    link.symlink_to(victim)
    assert "is a link" in ward.complaints(fix=True)["database file"].text
    assert victim.stat().st_mode & 0o777 == 0o644
    link.unlink()
    link.hardlink_to(victim)
    found = ward.complaints(fix=True)["database file"]
    assert (found.state, "not a file of its own" in found.remedy) == (FAIL, True)
    assert victim.stat().st_mode & 0o777 == 0o644


def test_a_disk_without_room_is_told(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100 << 20))
    assert ward.complaints()["disk"].state == WARN
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    assert ward.complaints()["disk"].state == FAIL


# -- the database


def damage(path: Path) -> None:
    """The header stays, the tables are nonsense."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


def nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def delete(path: Path) -> None:
    path.unlink()


Harm = Callable[[Path], None]


@pytest.mark.parametrize("harm", [damage, nonsense, empty, delete])
def test_a_sound_backup_takes_the_place_of_a_damaged_database(ward: Ward, harm: Harm) -> None:
    backup = ward.database.with_name("airoxy.db.before-2")
    shutil.copy(ward.database, backup)
    backup.chmod(0o600)
    harm(ward.database)
    bad = ward.database.read_bytes() if ward.database.exists() else None
    found = ward.complaints()
    assert found["database"].state == FAIL
    assert "airoxy.db.before-2 of 20" in found["database"].remedy
    assert ward.complaints(fix=True)["database"].state == FIXED
    assert ward.complaints() == {}
    assert len(ward.sql("SELECT * FROM tokens")) == 1
    assert ward.database.stat().st_mode & 0o777 == 0o600
    kept = list(ward.database.parent.glob("airoxy.db.damaged-*"))
    assert [path.read_bytes() for path in kept] == ([bad] if bad is not None else [])
    assert backup.exists()


def test_the_log_of_a_damaged_database_is_kept_with_it(ward: Ward) -> None:
    shutil.copy(ward.database, ward.database.with_name("airoxy.db.before-2"))
    nonsense(ward.database)
    ward.database.with_name("airoxy.db-wal").write_bytes(b"old log")
    ward.complaints(fix=True)
    assert not ward.database.with_name("airoxy.db-wal").exists()
    (kept,) = ward.database.parent.glob("airoxy.db.damaged-*-wal")
    assert kept.read_bytes() == b"old log"


@pytest.mark.parametrize("harm", [damage, nonsense, empty])
def test_without_a_sound_backup_a_damaged_database_stays_where_it_is(
    ward: Ward, harm: Harm
) -> None:
    harm(ward.database)
    nonsense(ward.database.with_name("airoxy.db.before-2"))
    ward.database.with_name("airoxy.db.before-2").chmod(0o600)
    before = ward.listing()
    found = ward.complaints(fix=True)["database"]
    assert found.state == FAIL
    assert "before-2 is no help: it is damaged, too" in found.remedy
    assert "nothing here replaces it" in found.remedy
    assert ward.listing() == before


def test_an_empty_backup_takes_no_place(ward: Ward) -> None:
    with closing(open_database(ward.database.with_name("airoxy.db.before-2"))):
        pass
    nonsense(ward.database)
    found = ward.complaints(fix=True)["database"]
    assert (found.state, "it has neither keys nor tokens" in found.remedy) == (FAIL, True)
    assert ward.database.read_bytes().startswith(b"nonsense")


def test_a_database_that_was_deleted_under_a_running_airoxy_is_told(ward: Ward) -> None:
    with ward.database.open():
        ward.database.unlink()
        found = ward.complaints(fix=True)["database"]
    assert (found.state, f"(process {os.getpid()}) has it open" in found.text) == (FAIL, True)
    assert not ward.database.exists()


def test_a_database_that_somebody_has_open_is_not_replaced(ward: Ward) -> None:
    shutil.copy(ward.database, ward.database.with_name("airoxy.db.before-2"))
    nonsense(ward.database)
    with ward.database.open():
        found = ward.complaints(fix=True)["database"]
    assert (found.state, f"process {os.getpid()}) has it open" in found.remedy) == (FAIL, True)


def test_a_database_that_was_never_made_is_in_order(ward: Ward) -> None:
    ward.database.unlink()
    assert set(ward.complaints(fix=True)) == {"keys", "tokens"}
    assert not ward.database.exists()


def test_a_pending_migration_is_done(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (*MIGRATIONS, "CREATE TABLE later (id INTEGER)")
    monkeypatch.setattr("airoxy.store.migrations.MIGRATIONS", steps)
    found = ward.complaints()
    assert (
        f"is of version {len(MIGRATIONS)}, this airoxy needs {len(steps)}"
        in found["migrations"].text
    )
    assert ward.complaints(fix=True)["migrations"].state == FIXED
    assert ward.complaints() == {}
    assert ward.database.with_name(f"airoxy.db.before-{len(steps)}").exists()


def test_a_newer_database_is_left_alone(ward: Ward) -> None:
    ward.sql("PRAGMA user_version = 99")
    before = ward.listing()
    found = ward.complaints(fix=True)["migrations"]
    assert (found.state, found.remedy) == (FAIL, "Upgrade airoxy.")
    assert ward.listing() == before


def test_another_programs_database_is_left_alone(ward: Ward) -> None:
    ward.database.unlink()
    with closing(sqlite3.connect(ward.database)) as db:
        db.executescript("PRAGMA application_id = 7; CREATE TABLE theirs (id)")
    ward.database.chmod(0o600)
    found = ward.complaints(fix=True)["migrations"]
    assert (found.state, "another program's" in found.text) == (FAIL, True)
    assert ward.complaints()["migrations"].state == FAIL


# -- keys and tokens


def test_no_key_and_no_token_are_told_but_are_no_fault(ward: Ward) -> None:
    ward.sql("DELETE FROM api_keys")
    ward.sql("DELETE FROM tokens")
    found = ward.complaints()
    assert found["keys"].remedy == "sudo airoxy api-key add --name NAME"
    assert found["tokens"].remedy == "sudo airoxy token add --name NAME"
    assert {each.state for each in found.values()} == {WARN}


def test_keys_that_are_all_disabled_are_told(ward: Ward) -> None:
    ward.sql("UPDATE api_keys SET is_active = 0")
    assert "Every client key is disabled" in ward.complaints()["keys"].text


def login(ward: Ward, **given: Any) -> int:
    with closing(open_database(ward.database)) as db:
        return ward.token(db, "login", type="oauth", token="sk-ant-oat-test-old",
                          refresh_token="sk-ant-ort-test-old", **given)  # fmt: skip


def test_an_expired_token_is_refreshed(ward: Ward, upstream: FakeAnthropic) -> None:
    login(ward, expires_at=int(ward.now) - 7200)
    found = ward.complaints()["tokens"]
    assert (found.state, found.text) == (WARN, "Token 2 (login) expired 2h ago.")
    assert ward.complaints(fix=True)["tokens"].state == FIXED
    assert ward.complaints() == {}


def test_an_expired_token_that_cannot_be_refreshed_is_told(
    ward: Ward, upstream: FakeAnthropic
) -> None:
    login(ward, expires_at=int(ward.now) - 60)
    ward.configure(oauth={"endpoint": f"http://127.0.0.1:{free_port()}/token"})
    found = ward.complaints(fix=True)["tokens"]
    assert found.state == WARN
    assert "Could not be repaired" in found.remedy
    assert "sudo airoxy token refresh --id 2" in found.remedy


def test_a_token_whose_refresh_fails_is_told(ward: Ward) -> None:
    login(ward, expires_at=int(ward.now) + 3600)
    ward.sql("UPDATE tokens SET refresh_failures = 2 WHERE id = 2")
    assert "could not be refreshed 2 times in a row" in ward.complaints()["tokens"].text


def test_a_token_that_was_deactivated_is_told_with_the_reason(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        number = ward.token(db, "other")
        tokens.deactivate(db, number, "401 invalid x-api-key", "sk-ant-api-test-other", ward.now)
    assert "other) is not used any more: 401 invalid x-api-key." in ward.complaints()["tokens"].text


def test_a_token_that_somebody_disabled_is_in_order(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        tokens.toggle_token(db, ward.token(db, "other"), ward.now)
    assert ward.complaints() == {}


def test_tokens_of_which_none_can_be_used_are_a_fault(ward: Ward) -> None:
    ward.sql("UPDATE tokens SET is_active = 0")
    found = ward.complaints()["tokens"]
    assert (found.state, "None of the 1 tokens" in found.text) == (FAIL, True)


def test_tokens_that_are_all_cooling_are_told(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        tokens.cool(db, 1, "*", ward.now + 600, "429", int(ward.now * 1e9))
    found = ward.complaints()["tokens"]
    assert (found.state, "the first is ready in 10m" in found.text) == (WARN, True)


# -- upstream and clock


def test_an_unreachable_upstream_is_a_fault_and_nothing_is_said_of_the_clock(ward: Ward) -> None:
    ward.configure(upstream={"url": f"http://127.0.0.1:{free_port()}"})
    found = ward.complaints()
    assert (found["upstream"].state, found["clock"].state) == (FAIL, WARN)
    assert "connection refused" in found["upstream"].text
    ward.configure(upstream={"url": "https://no-such-host.invalid"})
    assert "name cannot be resolved" in ward.complaints()["upstream"].text


def test_the_proxy_of_the_environment_is_asked(ward: Ward, upstream: FakeAnthropic) -> None:
    ward.configure(upstream={"url": "http://upstream.invalid"})
    patient = ward.patient()
    patient.context.environ = {"http_proxy": upstream.url}
    states = {each.check: each.state for each in ward.examine(patient=patient)}
    assert states["upstream"] == OK


@pytest.mark.parametrize(
    ("off", "state", "words"),
    [(-30, OK, "agrees"), (120, WARN, "behind"), (-4000, FAIL, "ahead of"), (4000, FAIL, "behind")],
)
def test_a_clock_that_is_off_is_told(
    ward: Ward, upstream: FakeAnthropic, off: float, state: str, words: str
) -> None:
    there = datetime.datetime.fromtimestamp(ward.now + off, datetime.UTC)
    date = format_datetime(there, usegmt=True)
    answer = f"HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"
    upstream.script(times=None).raw(answer.encode())
    found = {each.check: each for each in ward.examine()}["clock"]
    assert (found.state, words in found.text) == (state, True)


def test_an_answer_without_a_date_says_nothing_of_the_clock(
    ward: Ward, upstream: FakeAnthropic
) -> None:
    upstream.script().raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert ward.complaints()["clock"].state == WARN


# -- the PHP installation


@pytest.mark.parametrize(
    "path",
    ["var/www/airoxy/artisan", "etc/supervisor/conf.d/airoxy-worker.conf", "etc/cron.d/airoxy"],
)
def test_what_is_left_of_the_php_installation_is_told(
    ward: Ward, tmp_path: Path, path: str
) -> None:
    (tmp_path / "root" / path).parent.mkdir(parents=True)
    (tmp_path / "root" / path).write_text("")
    patient = ward.patient(tmp_path / "root")
    (found,) = [each for each in ward.examine(patient=patient) if each.check == "PHP"]
    assert found.state == WARN
    assert "sudo airoxy import-php" in found.remedy
    assert "/" + "/".join(path.split("/")[:2]) in found.text


def test_an_installation_that_was_taken_over_is_to_be_removed(ward: Ward, tmp_path: Path) -> None:
    old = OldAiroxy(tmp_path / "root" / "var/www/airoxy").key()
    assert main(["--config", str(ward.config), "import-php", str(old.directory)]) == 0
    patient = ward.patient(tmp_path / "root")
    (found,) = [each for each in ward.examine(patient=patient) if each.check == "PHP"]
    assert (found.state, found.remedy) == (WARN, "It has been taken over; stop it and remove it.")


def test_a_crontab_that_calls_it_is_told(ward: Ward, tmp_path: Path) -> None:
    table = tmp_path / "root" / "var/spool/cron/crontabs/root"
    table.parent.mkdir(parents=True)
    table.write_text("* * * * * cd /var/www/airoxy && php artisan schedule:run\n")
    (found,) = [
        e for e in ward.examine(patient=ward.patient(tmp_path / "root")) if e.check == "PHP"
    ]
    assert "/var/spool/cron/crontabs/root" in found.text


# -- systemd


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where systemd listens, and so does this process, in its place."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def systemd(
    ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: socket.socket
) -> FakeSystemd:
    """The units of a package; the user of the service is who runs the tests."""
    port = door.getsockname()[1]
    ward.settings["port"] = port
    ward.configure()
    fake = FakeSystemd(tmp_path / "systemd", monkeypatch, f"127.0.0.1:{port} (Stream)")
    generator = tmp_path / "generator"
    generator.write_text("#!/bin/sh\ncp -r /dev/null/. $1 2>/dev/null; exit 0\n")
    generator.chmod(0o755)
    monkeypatch.setattr(finding, "DEFAULT_PATH", ward.config)
    monkeypatch.setattr(finding, "PACKAGED", ward.config)
    monkeypatch.setattr(generated, "GENERATOR", generator)
    monkeypatch.setattr(generated, "GENERATED", tmp_path / "generated")
    monkeypatch.setattr("airoxy.cli.doctor.port._is_ours", lambda _: True)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout
    for name in ("airoxy.service", "airoxy-tidy-log.service", "airoxy-refresh-tokens.service"):
        fake.change(name, User=user.strip(), ReadWritePaths=str(ward.database.parent))
    fake.change("airoxy.service", ActiveState="reloading")  # nobody answers at the door
    monkeypatch.setattr("airoxy.cli.status._PATIENCE", 0.1)
    return fake


def test_healthy_units_are_left_alone(ward: Ward, systemd: FakeSystemd) -> None:
    assert ward.complaints(fix=True) == {}
    assert systemd.commands == []


UNITS = [
    ("socket", "airoxy.socket"),
    ("service", "airoxy.service"),
    ("timers", "airoxy-refresh-tokens.timer"),
    ("timers", "airoxy-tidy-log.timer"),
]


@pytest.mark.parametrize(("check", "name"), UNITS)
def test_a_masked_unit_is_unmasked_and_started(
    ward: Ward, systemd: FakeSystemd, check: str, name: str
) -> None:
    systemd.change(name, LoadState="masked", UnitFileState="masked", ActiveState="inactive")
    assert ward.complaints()[check].text == f"{name} is masked."
    assert ward.complaints(fix=True)[check].state == FIXED
    assert f"enable {name}" in systemd.commands
    assert systemd.state(name) == "active"


@pytest.mark.parametrize(("check", "name"), UNITS)
def test_a_disabled_unit_is_enabled_and_started(
    ward: Ward, systemd: FakeSystemd, check: str, name: str
) -> None:
    systemd.change(name, UnitFileState="disabled", ActiveState="inactive")
    assert "does not start at boot" in ward.complaints()[check].text
    assert ward.complaints(fix=True)[check].state == FIXED
    assert systemd.commands == [f"enable {name}", f"reset-failed {name}", f"start {name}"]


@pytest.mark.parametrize(("check", "name"), UNITS)
def test_a_unit_that_does_not_run_is_started(
    ward: Ward, systemd: FakeSystemd, check: str, name: str
) -> None:
    systemd.change(name, ActiveState="failed", SubState="failed")
    assert ward.complaints()[check].text == f"{name} is failed (failed)."
    assert ward.complaints(fix=True)[check].state == FIXED
    assert f"start {name}" in systemd.commands


def test_a_unit_that_cannot_be_started_is_told_with_where_to_look(
    ward: Ward, systemd: FakeSystemd
) -> None:
    systemd.change("airoxy.service", ActiveState="failed", refuses="start")
    found = ward.complaints(fix=True)["service"]
    assert found.state == FAIL
    assert "journalctl -u airoxy.service" in found.remedy
    assert "Job for airoxy.service failed" in found.remedy


def test_a_unit_that_is_gone_is_told(ward: Ward, systemd: FakeSystemd) -> None:
    systemd.change("airoxy-tidy-log.timer", LoadState="not-found", UnitFileState="")
    found = ward.complaints()["timers"]
    assert "cannot be loaded (not-found)" in found.text
    assert "apt-get install --reinstall airoxy" in found.remedy


def test_a_job_that_failed_is_told(ward: Ward, systemd: FakeSystemd) -> None:
    ended = {"Result": "exit-code", "ExecMainExitTimestamp": "Sun 2026-11-22 01:00:00 UTC"}
    systemd.change("airoxy-refresh-tokens.service", **ended)
    found = ward.complaints()["timers"]
    assert (found.state, "ended badly" in found.text) == (FAIL, True)
    assert found.remedy == "journalctl -u airoxy-refresh-tokens.service says why."


def test_unit_files_that_systemd_has_not_read_are_read(ward: Ward, systemd: FakeSystemd) -> None:
    systemd.change("airoxy.service", NeedDaemonReload="yes")
    assert "not yet seen the changes of airoxy.service" in ward.complaints()["units"].text
    assert ward.complaints(fix=True)["units"].state == FIXED
    assert systemd.commands == ["daemon-reload"]


def test_a_configuration_that_systemd_has_not_read_is_read(
    ward: Ward, systemd: FakeSystemd, tmp_path: Path
) -> None:
    drop_in = tmp_path / "generated" / "airoxy.socket.d" / "10-airoxy-yaml.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("# From line 3\n[Socket]\nListenStream=3900\n")
    found = ward.complaints()["units"]
    assert (found.state, str(ward.config) in found.text) == (FAIL, True)
    ward.complaints(fix=True)
    assert systemd.commands == ["daemon-reload"]


def test_an_address_that_nobody_listens_on_is_taken_up(
    ward: Ward, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd.change("airoxy.socket", Listen=f"127.0.0.1:{free_port()} (Stream)")
    assert "Nobody listens on 127.0.0.1:" in ward.complaints()["addresses"].text
    ward.complaints(fix=True)
    assert systemd.commands == ["restart airoxy.socket airoxy.service"]


def test_another_program_on_the_port_is_named(
    ward: Ward, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch, door: socket.socket
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("airoxy.cli.system.BOOTED", ward.config)
    monkeypatch.setattr(finding, "DEFAULT_PATH", ward.config)
    monkeypatch.setattr(finding, "PACKAGED", ward.config)
    (found,) = strangers(ward.patient())
    assert found.state == FAIL
    assert f"(process {os.getpid()}), on 127.0.0.1." in found.text


def test_a_database_that_the_units_may_not_write_is_told(ward: Ward, systemd: FakeSystemd) -> None:
    systemd.change("airoxy-tidy-log.service", ReadWritePaths="")
    found = ward.complaints()["sandbox"]
    assert (found.state, "airoxy-tidy-log.service may not write" in found.text) == (FAIL, True)
    assert f"ReadWritePaths={ward.database.parent}" in found.remedy


def test_a_server_that_answers_is_asked_for_its_health(
    ward: Ward, systemd: FakeSystemd, airoxy: Airoxy
) -> None:
    systemd.change("airoxy.socket", Listen=f"127.0.0.1:{airoxy.port} (Stream)")
    systemd.change("airoxy.service", ActiveState="active")
    health = {each.check: each for each in ward.examine()}["health"]
    assert (health.state, "no active access token" in health.text) == (WARN, True)
    airoxy.token("sk-ant-api-test-one")
    health = {each.check: each for each in ward.examine()}["health"]
    assert (health.state, "1 token ready" in health.text) == (OK, True)


def test_another_configuration_than_the_units_have_is_said_in_one_line(
    ward: Ward, systemd: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "DEFAULT_PATH", Path("/etc/airoxy/airoxy.yaml"))
    systemd.change("airoxy.service", LoadState="masked")
    found = {each.check: each for each in ward.examine()}
    assert f"no units for {ward.config}" in found["units"].text
    assert {"socket", "service", "timers", "port", "addresses"}.isdisjoint(found)
