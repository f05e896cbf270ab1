"""The systemd generator as a module, whose journal is a list."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.generator.drop_ins import (
    SCRIPT,
    Generate,
)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    module = ModuleType("airoxy_generator")
    exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), module.__dict__)
    return module


@pytest.fixture
def said(generator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes to the journal."""
    lines: list[str] = []
    monkeypatch.setattr(generator, "report", lines.append)
    return lines


@pytest.fixture
def generate(generator: ModuleType, said: list[str], tmp_path: Path) -> Generate:
    """The drop-ins for a configuration of this content; its path is F in them."""

    def generate(content: str) -> dict[str, str]:
        source, out = tmp_path / "airoxy.yaml", tmp_path / "generator"
        source.write_text(content)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        assert generator.main(["airoxy-generator", str(out), "early", "late"], source) == 0
        said[:] = [line.replace(str(source), "F") for line in said]
        return {
            str(path.relative_to(out)): path.read_text().replace(str(source), "F")
            for path in sorted(out.rglob("*.conf"))
        }

    return generate
