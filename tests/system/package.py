"""The packages under test, built from the last commit on a throw-away Debian and kept by content.

Invariant: what is built is what `git archive` gives of one commit, the last one when the tests
began, and never what happens to lie around. Other releases to upgrade to are that package with
something changed in it, since a build takes forty times as long.
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
dpkg-buildpackage -us -uc -b -Pnocheck > /build/log 2>&1 || { cat /build/log; exit 1; }
"""
#: $1 is the package, $2 a directory for another one, of version $3, which $4 makes differ.
_CHANGE = """
set -e
upstream=${3%-*}
dpkg-deb --raw-extract "$1" "$2/airoxy"
cd "$2/airoxy"
eval "$4"
sed -i "s/^Version: .*/Version: $3/" DEBIAN/control
cd usr/lib/python3/dist-packages
sed -i "s/^__version__ = .*/__version__ = '$upstream'/" airoxy/__init__.py
sed -i "s/^Version: .*/Version: $upstream/" airoxy-*.dist-info/METADATA
mv airoxy-*.dist-info "airoxy-$upstream.dist-info"
cd "$2/airoxy"
find usr -type f -exec md5sum {} + > DEBIAN/md5sums
cd ..
dpkg-deb --root-owner-group -Zgzip -z1 --build airoxy . > /dev/null
rm -r airoxy
"""


@dataclass(frozen=True)
class Variant:
    """Another release: its version, and a shell script that makes the unpacked package differ, or
    the commit that it is built from."""

    version: str | None = None
    edit: str = ""
    of: str | None = None


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


def build(variant: Variant = Variant()) -> Path:
    """The .deb of a variant, or of the commit under test."""
    tree = git("rev-parse", f"{variant.of or commit()}^{{tree}}")
    script = f"{variant.version}{variant.edit}{_CHANGE}" if variant.version else _BUILD
    digest = hashlib.sha256(tree + script.encode()).hexdigest()[:16]
    place = images.CACHE / "packages" / digest
    with images.locked(f"package-{digest}"):
        if not place.is_dir():
            made = place.with_name(f".{place.name}")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            if variant.version:
                _change(variant, made)
            else:
                _build(variant.of or commit(), made)
            made.rename(place)
    (deb,) = place.glob("*.deb")
    return deb


def _build(commit: str, place: Path) -> None:
    """On Debian 13, as for a release."""
    with Machine(*images.image("trixie", "build")) as machine:
        machine.put("/source.tar", git("archive", commit))
        machine.run(_BUILD)
        for deb in (machine.root / "build").glob("*.deb"):
            shutil.copy(deb, place)


def _change(variant: Variant, place: Path) -> None:
    words = [build(), place, variant.version, variant.edit]
    subprocess.run(["sh", "-c", _CHANGE, "sh", *words], check=True)
