"""The doctor's findings: at once, and renewed by one thread at a time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airoxy.console.live.checkup import FRESH, Checkup
from tests.conftest import Clock

FINE = {"check": "disk", "state": "ok", "text": "There is room.", "remedy": None}


class Doctor:
    """Is at it until it is told that it is done."""

    def __init__(self) -> None:
        self.done = threading.Semaphore(0)
        self.times = 0

    def __call__(self) -> list[dict[str, Any]]:
        self.times += 1
        self.done.acquire()
        return [FINE]

    def finish(self) -> None:
        (thread,) = (each for each in threading.enumerate() if each.name == "doctor")
        self.done.release()
        thread.join(30)


def test_nobody_waits_for_the_doctor_and_there_is_one(clock: Clock) -> None:
    checkup, doctor = Checkup(), Doctor()
    for _ in range(5):
        assert checkup.look(doctor, clock) == ([], None, True)
    doctor.finish()
    assert checkup.look(doctor, clock) == ([FINE], clock.now, False)
    assert doctor.times == 1


def test_old_findings_are_shown_while_they_are_renewed(clock: Clock) -> None:
    checkup, doctor = Checkup(), Doctor()
    checkup.look(doctor, clock)
    doctor.finish()
    before = clock.now
    clock.advance(FRESH)
    for _ in range(2):
        assert checkup.look(doctor, clock) == ([FINE], before, True)
    doctor.finish()
    assert checkup.look(doctor, clock) == ([FINE], clock.now, False)
    assert doctor.times == 2


def test_a_doctor_who_breaks_off_is_a_finding(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    checkup, looked = Checkup(), threading.Event()

    def broken() -> list[dict[str, Any]]:
        looked.wait(30)
        raise OSError("no such disk")

    checkup.look(broken, clock)
    (thread,) = (each for each in threading.enumerate() if each.name == "doctor")
    looked.set()
    thread.join(30)
    (found,) = checkup.look(broken, clock).found
    assert (found["check"], found["state"]) == ("doctor", "fail")
    assert "no such disk" in caplog.text
