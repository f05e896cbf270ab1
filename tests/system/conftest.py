"""Machines for the tests: fresh ones, and ones that start with airoxy installed.

Both releases are tested by every test that takes `release` or one of the machines. Three processes
of pytest (`-n 3 --dist loadgroup`) test them and the package itself side by side.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system import images, machine, package
from tests.system.machine import Machine
from tests.system.site import Site

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups
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
def installed(release: str, deb: Path) -> Iterator[tuple[Path, ...]]:
    """The layers of a machine on which airoxy is installed, as the installation left it."""

    def install(machine: Machine) -> None:
        machine.put("/root/airoxy.deb", deb)
        machine.run("apt-get install --yes /root/airoxy.deb")

    with layer(images.image(release, "ready")) as (layers, use):
        use(install)
        yield layers


@pytest.fixture(scope="session")
def furnished(installed: tuple[Path, ...]) -> Iterator[tuple[tuple[Path, ...], str]]:
    """The layers of such a machine with all that a Site needs, and the key of its client."""
    keys = []
    with layer(*installed) as (layers, use):
        use(lambda machine: keys.append(Site.furnish(machine)))
        yield layers, keys[0]


@contextmanager
def layer(*below: Path) -> Iterator[tuple[tuple[Path, ...], Callable[..., None]]]:
    """A layer over these, for what is done to a machine that is switched off then."""
    keep = images.CACHE / "run" / f"{Machine().name}-disk"
    keep.mkdir(parents=True)
    machine = Machine(*below, keep=keep)

    def use(work: Callable[[Machine], object]) -> None:
        machine.start().wait()
        work(machine)
        machine.power_off()

    try:
        yield (keep / "up", *below), use
    finally:
        machine.stop()
        shutil.rmtree(keep)


@pytest.fixture
def computer(boot: Callable[..., Machine], installed: tuple[Path, ...]) -> Machine:
    """A machine of its own for this test, just booted, with airoxy installed."""
    return running(boot(*installed))


@pytest.fixture
def site(boot: Callable[..., Machine], furnished: tuple[tuple[Path, ...], str]) -> Site:
    """Such a machine with a token, a key and something to ask."""
    layers, key = furnished
    return Site(running(boot(*layers)), key)


def running(machine: Machine) -> Machine:
    """The machine, on which airoxy has started with it."""
    states = machine.run("systemctl is-active airoxy.socket airoxy.service", check=False)
    assert states.split() == ["active", "active"], machine.journal("")
    return machine
