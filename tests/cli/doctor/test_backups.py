"""Whether the nightly copies of the database are made."""

from __future__ import annotations

import os
from pathlib import Path

from airoxy.cli.doctor.finding import FAIL, OK, WARN
from tests.cli.doctor.ward import Ward

DAY = 86400


def copy(ward: Ward, directory: Path, days: float) -> None:
    path = directory / f"airoxy-2026-11-{20 - int(days)}.db"
    path.touch()
    os.utime(path, (ward.now - days * DAY,) * 2)


def found(ward: Ward, directory: Path) -> list[tuple[str, str]]:
    ward.configure(backup={"directory": str(directory)})
    return [(each.state, each.text) for each in ward.examine() if each.check == "backups"]


def test_nothing_is_said_where_none_are_wanted(ward: Ward) -> None:
    assert "backups" not in {each.check for each in ward.examine()}


def test_a_new_copy_is_fine(ward: Ward, tmp_path: Path) -> None:
    for days in (0.5, 1.5, 9):
        copy(ward, tmp_path, days)
    assert found(ward, tmp_path) == [(OK, f"The newest backup in {tmp_path} is 12h old.")]


def test_an_old_copy_is_warned_of(ward: Ward, tmp_path: Path) -> None:
    copy(ward, tmp_path, 3)
    assert found(ward, tmp_path) == [(WARN, f"The newest backup in {tmp_path} is 3d old.")]


def test_a_missing_copy_or_directory_is_told(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert found(ward, tmp_path / "empty") == [
        (WARN, f"There is no backup in {tmp_path / 'empty'} yet.")
    ]
    (finding,) = found(ward, tmp_path / "none")
    assert finding == (
        FAIL,
        f"{tmp_path / 'none'} cannot be used for backups: No such file or directory.",
    )
