"""Machines for the tests: fresh ones, and ones that start with airoxy installed.

Both releases are tested by every test that takes `release` or one of the machines. Processes of
pytest (`--dist loadgroup`) take one test after the other, whichever release it is of; those that
share a machine stay together. What all machines start from is made once, for all processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from tests.system import images, layers, machine, package
from tests.system.machine import Machine
from tests.system.site import Site

HERE = Path(__file__).parent


#: Machines that the tests of a module share, those with the most to do first.
SHARED = ("workshop", "minimal", "looked_at")
KEY = "/opt/tests/key"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)  # around xdist, which reads the groups
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.system)
        if config.pluginmanager.hasplugin("xdist") and (shared := group(item)):
            item.add_marker(pytest.mark.xdist_group(shared))
    yield
    # Asked only where some are left: apt takes a second of each process to tell of its mirrors.
    ours = [item for item in items if HERE in item.path.parents]
    if ours and (reason := machine.missing()):
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=f"boots a system: {reason}"))
    # What cannot be divided is begun first.
    items.sort(key=lambda item: [name not in fixtures(item) for name in SHARED])


def group(item: pytest.Item) -> str:
    """The machine that a test shares with others, with its release; empty if it does not."""
    name = next((name for name in SHARED if name in fixtures(item)), "")
    release = next((each for each in images.RELEASES if f"[{each}" in item.name), "")
    return name and name + release


def fixtures(item: pytest.Item) -> Collection[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else ()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    layers.remove()


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
def ready(release: str) -> tuple[Path, ...]:
    """The layers of a machine with what airoxy depends on. Who needs the package as well asks for
    this first: another process makes what the package is built on meanwhile."""
    return images.image(release, "ready")


@pytest.fixture(scope="session")
def installed(release: str, ready: tuple[Path, ...], deb: Path) -> tuple[Path, ...]:
    """The layers of a machine on which airoxy is installed, as the installation left it."""

    def install(machine: Machine) -> None:
        machine.put("/root/airoxy.deb", deb)
        machine.run("apt-get install --yes /root/airoxy.deb")

    return layers.layer(f"{release}-installed", install, *ready)


@pytest.fixture(scope="session")
def furnished(release: str, installed: tuple[Path, ...]) -> tuple[tuple[Path, ...], str]:
    """The layers of such a machine with all that a Site needs, and the key of its client."""

    def furnish(machine: Machine) -> None:
        machine.put(KEY, Site.furnish(machine))

    place = layers.layer(f"{release}-furnished", furnish, *installed)
    return place, (place[0] / KEY.lstrip("/")).read_text()


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
