"""What many machines start from: a layer each, made once for all processes of one run of pytest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.system import images
from tests.system.machine import Machine, run_directory

_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def layer(name: str, work: Callable[[Machine], object], *below: Path) -> tuple[Path, ...]:
    """These layers, and above them what `work` did to a machine that was switched off then."""
    place = _place() / name
    with images.locked(name):
        if not place.is_dir():
            made = place.with_name(f".{name}")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            machine = Machine(*below, keep=made)
            try:
                work(machine.start().wait())
                machine.power_off()
            finally:
                machine.stop()
            made.rename(place)
    return place / "up", *below


def remove() -> None:
    """At the end of the run; what a run that was killed left, the next one sweeps."""
    if not _IS_WORKER:
        shutil.rmtree(_place(), ignore_errors=True)


def _place() -> Path:
    return run_directory("layers", os.getppid() if _IS_WORKER else os.getpid())
