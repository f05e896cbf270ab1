"""What is left of the older PHP installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from airoxy.cli import main
from airoxy.cli.doctor import checks, examine
from airoxy.cli.doctor.finding import OK, WARN, Finding
from airoxy.legacy_php.command import CHECKS
from tests.cli.doctor.ward import Ward
from tests.legacy_php.old_airoxy import OldAiroxy


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path / "state", "http://127.0.0.1:9")


def look(ward: Ward, root: Path) -> Finding:
    (found,) = examine(ward.installation(root), CHECKS, repair=False)
    return found


def test_the_doctor_looks_for_it_and_is_content_where_there_is_none(
    ward: Ward, tmp_path: Path
) -> None:
    assert set(CHECKS) < set(checks())
    assert look(ward, tmp_path).state == OK


@pytest.mark.parametrize(
    "path",
    ["var/www/airoxy/artisan", "etc/supervisor/conf.d/airoxy-worker.conf", "etc/cron.d/airoxy"],
)
def test_what_is_left_of_the_php_installation_is_told(
    ward: Ward, tmp_path: Path, path: str
) -> None:
    (tmp_path / "root" / path).parent.mkdir(parents=True)
    (tmp_path / "root" / path).write_text("")
    found = look(ward, tmp_path / "root")
    assert found.state == WARN
    assert "sudo airoxy import-php" in found.remedy
    assert "/" + "/".join(path.split("/")[:2]) in found.text


def test_an_installation_that_was_taken_over_is_to_be_removed(ward: Ward, tmp_path: Path) -> None:
    old = OldAiroxy(tmp_path / "root" / "var/www/airoxy").key()
    assert main(["--config", str(ward.config), "import-php", str(old.directory)]) == 0
    found = look(ward, tmp_path / "root")
    assert (found.state, found.remedy) == (WARN, "It has been taken over; stop it and remove it.")


def test_a_crontab_that_calls_it_is_told(ward: Ward, tmp_path: Path) -> None:
    table = tmp_path / "root" / "var/spool/cron/crontabs/root"
    table.parent.mkdir(parents=True)
    table.write_text("* * * * * cd /var/www/airoxy && php artisan schedule:run\n")
    found = look(ward, tmp_path / "root")
    assert "/var/spool/cron/crontabs/root" in found.text
