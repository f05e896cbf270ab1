"""`airoxy fleet join`: files with secrets."""

from __future__ import annotations

import os
import threading

import pytest

_URL = "postgresql://airoxy@/nothing?host=/nonexistent"


def joined(airoxy, *words):
    return airoxy.run("fleet", "join", _URL, "--first", *words)


@pytest.mark.parametrize("option", ["--password-file", "--token-key"])
def test_a_device_that_never_ends_is_refused(airoxy, option):
    told = joined(airoxy, option, "/dev/zero")
    assert told.returncode != 0
    assert "/dev/zero is longer than 4096 bytes" in told.stderr


def test_a_pipe_to_which_nobody_writes_holds_nobody(airoxy, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o666)
    told = joined(airoxy, "--token-key", str(pipe))
    assert f"{pipe} is no key" in told.stderr


def test_a_password_is_taken_from_a_pipe_to_which_a_program_is_going_to_write(airoxy):
    pytest.importorskip("psycopg2")
    read, write = os.pipe()
    threading.Timer(0.1, lambda: (os.write(write, b"a\n"), os.close(write))).start()
    with os.fdopen(read) as opened:
        told = airoxy.run(
            "fleet", "join", _URL, "--first", "--password-file", f"/proc/{os.getpid()}/fd/{read}"
        )
        assert not opened.closed
    assert "PostgreSQL cannot be used" in told.stderr  # it has come so far
