"""Faults of the database's directory and files, and of their disk."""

from __future__ import annotations

import grp
import os
import shutil
from pathlib import Path

import pytest

from airoxy.cli.doctor.finding import FAIL, FIXED, WARN
from airoxy.store.file import access
from tests.cli.doctor.ward import Ward


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


def test_the_group_that_may_look_still_may_after_a_repair(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group of the package's directory may read the database, and no copy of it."""
    group = grp.getgrgid(ward.database.parent.stat().st_gid).gr_name
    monkeypatch.setattr(access, "GROUP", group)
    wal, copy = (ward.database.with_name(f"airoxy.db{end}") for end in ("-wal", ".before-1"))
    for path in (ward.database, wal, copy):
        path.touch()
        path.chmod(0o666)
    assert ward.complaints(fix=True)["database file"].state == FIXED
    modes = [path.stat().st_mode & 0o777 for path in (ward.database, wal, copy)]
    assert modes == [0o640, 0o640, 0o600]


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
