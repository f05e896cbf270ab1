"""What the service writes to its journal: priorities, tracebacks, the request it is about."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from airoxy.journal import LineFormatter, about, is_journal, set_up

log = logging.getLogger("airoxy.somewhere")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("airoxy")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def said(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that JOURNAL_STREAM names, and to which is logged."""
    path = tmp_path / "journal"
    with path.open("w") as stream:
        file = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{file.st_dev}:{file.st_ino}")
        set_up("info", stream)
        yield path


def test_the_journal_gets_the_priority_of_each_record(journal: Path) -> None:
    log.debug("Details.")
    log.info("Reloaded.")
    log.warning("A worker hangs.")
    log.error("3 log rows are lost.")
    log.critical("The end.")
    assert said(journal) == [
        "<6>Reloaded.", "<4>A worker hangs.", "<3>3 log rows are lost.", "<2>The end.",
    ]  # fmt: skip


def test_every_line_of_a_traceback_has_its_priority(journal: Path) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("A request has failed.", extra=about("req_airoxy_1"))
    lines = said(journal)
    assert lines[0] == "<3>A request has failed. [req_airoxy_1]"
    assert lines[1] == "<3>Traceback (most recent call last):"
    assert lines[-1] == "<3>lines"
    assert all(line.startswith("<3>") for line in lines)


def test_a_record_that_is_about_no_request_names_none(journal: Path) -> None:
    log.warning("A token rests.", extra=about(None))
    assert said(journal) == ["<4>A token rests."]


@pytest.mark.parametrize(
    ("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_the_level_decides_what_is_written(journal: Path, level: str, seen: int) -> None:
    with journal.open("a") as stream:
        set_up(level, stream)
        for each in (log.debug, log.info, log.warning, log.error):
            each("Something.")
    assert len(said(journal)) == seen


def test_libraries_are_heard_from_warnings_on(journal: Path) -> None:
    with journal.open("a") as stream:
        set_up("debug", stream)
        logging.getLogger("httpcore.http11").debug("send_request_headers: a secret")
        logging.getLogger("httpx").info("HTTP Request: POST")
        logging.getLogger("asyncio").error("Exception in callback")
    assert said(journal) == ["<3>Exception in callback"]


def test_what_is_not_the_journal_gets_no_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")  # inherited; standard error goes elsewhere
    path = tmp_path / "elsewhere"
    with path.open("w") as stream:
        set_up("info", stream)
        log.warning("A worker hangs.")
    assert said(path) == ["A worker hangs."]


def test_what_is_no_file_is_not_the_journal() -> None:
    closed = io.StringIO()
    closed.close()
    environ = {"JOURNAL_STREAM": "8:1234"}
    assert not is_journal(closed, environ)
    assert not is_journal(io.StringIO(), environ)


def test_a_message_with_several_lines_is_several_entries_of_one_priority() -> None:
    record = log.makeRecord("airoxy", logging.WARNING, "", 0, "one\ntwo", (), None)
    assert LineFormatter(priorities=True).format(record) == "<4>one\n<4>two"
