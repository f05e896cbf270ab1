"""Files that have their name only when they are complete."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from airoxy import files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_the_old_contents_are_there_until_the_new_are_complete(path: Path) -> None:
    path.write_text("old")
    with files.written(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_it_is_for_its_owner_alone_from_the_first_moment(path: Path) -> None:
    with files.written(path) as unfinished:
        assert unfinished.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_block_that_fails_leaves_everything_as_it_was(
    path: Path, error: type[BaseException]
) -> None:
    path.write_text("old")
    with pytest.raises(error), files.written(path) as unfinished:
        unfinished.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_process_left_behind_makes_way(path: Path) -> None:
    path.with_name("file.unfinished").write_text("half")
    with files.written(path) as unfinished:
        assert unfinished.read_text() == ""


def test_somebody_who_may_still_be_writing_is_left_alone(path: Path) -> None:
    other = path.with_name("file.unfinished")
    other.write_text("half")
    with pytest.raises(FileExistsError), files.written(path, wait=True):
        pass
    assert other.read_text() == "half"


def test_of_many_who_may_not_replace_each_other_one_writes_the_file(path: Path) -> None:
    written, refused = [], []
    barrier = threading.Barrier(8)

    def write(number: int) -> None:
        try:
            with files.written(path, beside=f".{number}", replace=False) as unfinished:
                unfinished.write_text(str(number))
                barrier.wait()
            written.append(str(number))
        except FileExistsError:
            refused.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_text()] == written
    assert len(refused) == 7
    assert list(path.parent.iterdir()) == [path]
