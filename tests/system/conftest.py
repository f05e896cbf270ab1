"""Machines for the tests: fresh ones, and ones that start with airoxy installed.

Both releases are tested by every test that takes `release` or one of the machines. Two processes
of pytest (`-n 2 --dist loadgroup`) test them side by side.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import images, machine, package
from tests.system.machine import Machine
from tests.system.site import Site

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reason = machine.missing()
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.system)
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"boots a system: {reason}"))
        if config.pluginmanager.hasplugin("xdist"):
            group = next((name for name in images.RELEASES if f"[{name}" in item.name), "package")
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def swept() -> None:
    machine.sweep()


@pytest.fixture(scope="session", params=images.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def deb() -> Path:
    """The package, built on Debian 13 as for a release."""
    return package.build()


@pytest.fixture
def boot() -> Iterator[Callable[..., Machine]]:
    """Boots machines of images or layers, and takes care of their end."""
    started = []

    def start(*layers: Path) -> Machine:
        started.append(Machine(*layers).start())
        return started[-1].wait()

    yield start
    for each in started:
        each.stop()


@pytest.fixture(scope="session")
def installed(release: str, deb: Path) -> Iterator[tuple[Path, Path]]:
    """The layers of a machine on which airoxy is installed, as the installation left it."""
    ready = images.image(release, "ready")
    blank = Machine(ready)
    keep = images.CACHE / "run" / f"{blank.name}-disk"
    keep.mkdir(parents=True)
    blank = Machine(ready, keep=keep)
    try:
        blank.start().wait()
        blank.put("/root/airoxy.deb", deb)
        blank.run("apt-get install --yes /root/airoxy.deb")
        blank.power_off()
        yield keep / "up", ready
    finally:
        blank.stop()
        shutil.rmtree(keep)


@pytest.fixture
def computer(boot: Callable[..., Machine], installed: tuple[Path, Path]) -> Machine:
    """A machine of its own for this test, just booted, with airoxy installed."""
    machine = boot(*installed)
    states = machine.run("systemctl is-active airoxy.socket airoxy.service", check=False)
    assert states.split() == ["active", "active"], machine.run("journalctl --boot --no-pager")
    return machine


@pytest.fixture
def site(computer: Machine) -> Site:
    """Such a machine with a token, a key and something to ask."""
    return Site(computer)
