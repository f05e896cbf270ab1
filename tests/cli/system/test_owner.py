"""Whose the database is, and who may look at it."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from airoxy.store import keys, tokens
from airoxy.store.file import access
from airoxy.store.schema import open_database
from tests.conftest import NOON
from tests.program import ROOT, environment

OWNER, GROUP, MEMBER = 12345, 12346, 54321

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, as root can")


@pytest.fixture
def config() -> Iterator[Path]:
    """Of a database that belongs to somebody else, and that a group may look at; below no directory
    that is closed to others, as pytest's are."""
    with tempfile.TemporaryDirectory() as name:
        yield _configured(Path(name))


def _configured(place: Path) -> Path:
    place.chmod(0o755)
    directory = place / "state"
    directory.mkdir()
    path = directory / "airoxy.db"
    with closing(open_database(path)) as db:
        keys.add_key(db, "laptop", "ak-test", NOON)
        tokens.add_token(db, name="console", type="api_key", token="sk-ant-api-test-one",
                         refresh_token=None, expires_at=None, now=NOON)  # fmt: skip
    for each in (directory, *directory.iterdir()):
        os.chown(each, OWNER, GROUP)
    directory.chmod(0o750)
    path.chmod(0o640)
    config = place / "airoxy.yaml"
    config.write_text(json.dumps({"database": str(path)}))
    config.chmod(0o644)
    return config


def typed(config: Path, groups: list[int], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airoxy", "--config", str(config), *words],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
        user=MEMBER, group=MEMBER, extra_groups=groups,
    )  # fmt: skip


@root_only
@pytest.mark.parametrize("serving", [True, False])
def test_members_of_the_group_may_look_and_change_nothing(config: Path, serving: bool) -> None:
    path = Path(json.loads(config.read_text())["database"])
    with closing(open_database(path)) if serving else closing(open(os.devnull)):
        for suffix in ("-wal", "-shm"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                os.chown(beside, OWNER, GROUP)
        for words in ("token list", "token show console", "api-key list", "api-key show laptop",
                      "logs", "stats", "stats --by day", "complete keys"):  # fmt: skip
            done = typed(config, [GROUP], *words.split())
            assert (done.returncode, done.stderr) == (0, ""), words
        assert "ready" in typed(config, [GROUP], "token", "list").stdout
        for words in ("api-key disable laptop", "api-key add desk", "token remove console --yes"):
            done = typed(config, [GROUP], *words.split())
            assert done.returncode == 1
            assert done.stderr.endswith("use sudo.\n"), done.stderr
            assert done.stderr.count("\n") == 1
    with closing(open_database(path)) as db:
        assert keys.list_keys(db)[0]["is_active"]


@root_only
def test_everybody_else_is_told_to_use_sudo(config: Path) -> None:
    done = typed(config, [], "api-key", "list")
    assert (done.returncode, "use sudo" in done.stderr) == (1, True)


@pytest.mark.parametrize(("mode", "expected"), [(0o750, 0o640), (0o700, 0o600)])
def test_only_the_packages_database_is_for_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, expected: int
) -> None:
    for name, wanted in ((grp.getgrgid(os.getegid()).gr_name, expected), ("nobody-at-all", 0o600)):
        monkeypatch.setattr(access, "GROUP", name)
        directory = tmp_path / name
        directory.mkdir()
        directory.chmod(mode)
        with closing(open_database(directory / "airoxy.db")):
            modes = {each.stat().st_mode & 0o777 for each in directory.iterdir()}
            assert modes == {wanted}
