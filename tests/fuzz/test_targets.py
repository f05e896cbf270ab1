"""Every fuzzing target with what has been found before, and with mutations of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_was_found_stays_mended(file: Path) -> None:
    TARGETS[file.parent.name](file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_promise_holds_for_mutations(name: str, data: st.DataObject) -> None:
    seeds = [file.read_bytes() for file in FILES if file.parent.name == name]
    seed = data.draw(st.sampled_from(seeds) | st.binary(max_size=200))
    for _ in range(data.draw(st.integers(0, 4))):
        at, removed = data.draw(st.integers(0, len(seed))), data.draw(st.integers(0, 3))
        odd = st.sampled_from([b"\r\n", b"\n", b" ", b":", b"\0", b'"', b"\\", b"..", b"%2e", b"{"])
        seed = seed[:at] + data.draw(odd | st.binary(max_size=4)) + seed[at + removed :]
    TARGETS[name](seed)
