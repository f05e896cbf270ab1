"""What the tests install is pinned: exact versions with hashes, from no host in particular."""

from __future__ import annotations

import json
import re

import pytest

from tests.program import ROOT

NODE = ROOT / "tests" / "node"


def normal(name: str) -> str:
    """A package's name as PyPI compares it, without extras."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


@pytest.mark.parametrize(
    ("wanted", "pinned"), [("newest.in", "newest.txt"), ("fuzz/pins.in", "fuzz/pins.txt")]
)
def test_every_package_from_pypi_has_a_version_and_hashes(wanted, pinned):
    lines = (ROOT / "tests" / pinned).read_text().replace("\\\n", " ").splitlines()
    exact = r"([a-z0-9-]+)(?:\[[a-z,-]+\])?==[\w.]+( ; .*?)?(\s+--hash=sha256:[0-9a-f]{64})+"
    names = {found[1] for line in lines if (found := re.fullmatch(exact, line.strip()))}
    assert len(names) == len(lines)
    asked = (ROOT / "tests" / wanted).read_text().splitlines()
    assert {normal(line) for line in asked if not line.startswith("#")} <= names


def test_every_package_from_npm_has_a_version_and_a_hash():
    lock = json.loads((NODE / "package-lock.json").read_text())["packages"]
    asked = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in asked.values())
    assert lock.pop("")["dependencies"] == asked
    for package in lock.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_what_runs_on_other_versions_exists():
    lines = (ROOT / "tests" / "versions.txt").read_text().splitlines()
    paths = [line for line in lines if not line.startswith("#")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
