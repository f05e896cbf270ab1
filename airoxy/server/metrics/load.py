"""What all workers are at together, as the parent writes it into the shared memory every second."""

from __future__ import annotations

from typing import NamedTuple

from airoxy.server.shared_memory import Record, Region, SharedMemory


class Load(NamedTuple):
    """Open requests, connections to Anthropic, log rows that wait for the database."""

    streams: int = 0
    connections: int = 0
    waiting: int = 0


REGION = Region("load", Record(**dict.fromkeys(Load._fields, 1)))


def read_load(memory: SharedMemory) -> Load:
    return Load(*memory.words(REGION))


def write_load(memory: SharedMemory, load: Load) -> None:
    for place, figure in enumerate(load):
        memory.words(REGION)[place] = figure
