"""The packages under test, built from the last commit on a throw-away Debian and kept by content.

Invariant: what is built is what `git archive` gives of one commit, the last one when the tests
began, and never what happens to lie around.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.system import images
from tests.system.images import ROOT
from tests.system.machine import Machine

_BUILD = """
set -e
mkdir -p /build/airoxy && cd /build
tar -x -C airoxy -f /source.tar
cd airoxy
{edit}
dpkg-buildpackage -us -uc -b -Pnocheck > /build/log 2>&1 || {{ cat /build/log; exit 1; }}
"""
_RELEASE_IT = """
sed -i 's/^__version__ = .*/__version__ = "{upstream}"/' airoxy/__init__.py
sed -i '1s/(.*)/({version})/' debian/changelog
"""


@dataclass(frozen=True)
class Variant:
    """Another release: its version, and a shell script that makes it differ (None: the tree as it
    is), or the commit that it was made of."""

    version: str | None = None
    edit: str = ""
    of: str | None = None

    @property
    def script(self) -> str:
        if self.version is None:
            return self.edit
        upstream = self.version.partition("-")[0]
        return self.edit + _RELEASE_IT.format(upstream=upstream, version=self.version)


def git(*words: str) -> bytes:
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


@functools.cache
def commit() -> str:
    """The commit under test."""
    return git("rev-parse", "HEAD").decode().strip()


def version() -> str:
    """The version in debian/changelog."""
    found = re.match(r"\S+ \((\S+)\)", git("show", f"{commit()}:debian/changelog").decode())
    assert found
    return found[1]


def build(variant: Variant = Variant(), release: str = "trixie") -> Path:
    """The .deb of a variant."""
    tree = git("rev-parse", f"{variant.of or commit()}^{{tree}}")
    digest = hashlib.sha256(tree + f"{release}{variant.script}".encode()).hexdigest()[:16]
    place = images.CACHE / "packages" / digest
    with images.locked(f"package-{digest}"):
        if not place.is_dir():
            _build(variant, release, place)
    (deb,) = place.glob("*.deb")
    return deb


def _build(variant: Variant, release: str, place: Path) -> None:
    with Machine(images.image(release, "build")) as machine:
        machine.put("/source.tar", git("archive", variant.of or commit()))
        machine.run(_BUILD.format(edit=variant.script))
        made = place.with_name(f".{place.name}")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for deb in (machine.root / "build").glob("*.deb"):
            shutil.copy(deb, made)
        made.rename(place)
