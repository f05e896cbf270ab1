"""README's first commands on a fresh Debian, from an unpacked source without git."""

from __future__ import annotations

import pytest

from tests.system import images, package

BUILD_TOOLS = {"build-essential", "debhelper", "dpkg-dev", "gcc", "git", "pybuild-plugin-pyproject"}


@pytest.fixture
def fresh(boot):
    """A system with the source in /src and make, and nothing to build packages with."""
    machine = boot(*images.image("trixie", "ready"))
    machine.online()
    machine.put("/src.tar", package.git("archive", package.commit()))
    machine.run("mkdir /src && tar -x -C /src -f /src.tar && apt-get install --yes make")
    return machine


def installed(machine) -> set[str]:
    listed = machine.run("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n'").splitlines()
    return {line.split()[1] for line in listed if line.startswith("ii")}


def test_a_demo_and_an_installation(fresh):
    before = installed(fresh)
    assert not before & BUILD_TOOLS
    assert "airoxy logs" in fresh.run("make -C /src --no-print-directory demo")

    status, said = fresh.status("make -C /src up", user="nobody")
    assert status
    assert "sudo make up" in said

    said = fresh.run("make -C /src --no-print-directory up")
    assert len(said.splitlines()) < 20, said
    for line in ("airoxy token add", "airoxy api-key add", "airoxy status", "in plain HTTP"):
        assert line in said
    assert fresh.run("curl -s http://127.0.0.1:3800/").strip()
    assert installed(fresh) == before | {"airoxy"}
