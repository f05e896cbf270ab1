"""The Debian systems that the tests boot: a directory each, built once by mmdebstrap and kept.

Invariant: an image is never written to again. Its name tells release, kind and a digest of the
packages in it, so that a change in debian/control builds a new one. The packages come from the
Debian mirror that this machine's apt uses; AIROXY_TEST_MIRROR names another.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: On a disk, and not under /tmp: some gigabytes that a reboot need not lose.
CACHE = Path(os.environ.get("AIROXY_TEST_IMAGES", "/var/tmp/airoxy-system"))
RELEASES = ("bookworm", "trixie")

#: A system as an administrator may have it, with what the tests look at it with.
BOOT = ("systemd", "systemd-sysv", "dbus", "curl", "procps")
MAN = ("man-db",)
CHECKS = ("autopkgtest", "devscripts", "faketime", "fakeroot", "git", "lintian", "locales-all",
          "mmdebstrap", "piuparts", "xz-utils")  # fmt: skip


#: A mirror that stumbles must not fail a test.
APT_PATIENCE = 'Acquire::Retries "5";'


class NoMirror(Exception):
    """This machine's apt knows no Debian mirror."""


def mirror() -> str:
    """The URL of a Debian archive. Raises NoMirror."""
    if named := os.environ.get("AIROXY_TEST_MIRROR"):
        return named
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    known = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    for url in known:
        if re.search(r"/debian/?$", url):
            return url
    raise NoMirror("apt-get indextargets names no Debian archive; set AIROXY_TEST_MIRROR")


def packages(kind: str) -> list[str]:
    """What is in an image beside what apt itself needs: "minimal" can boot, "ready" has what airoxy
    depends on, "build" what it is built and checked with."""
    if kind == "minimal":
        return [*BOOT]
    wanted = [*BOOT, *MAN, *relations("Depends")]
    if kind == "build":
        wanted += ["build-essential", *CHECKS, *relations("Build-Depends")]
    return sorted(set(wanted))


def image(release: str, kind: str) -> Path:
    """The directory of an image, built now if it is not there. Raises NoMirror."""
    wanted = packages(kind)
    digest = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:8]
    place = CACHE / f"{release}-{kind}-{digest}"
    with locked(place.name):
        if not place.is_dir():
            _build(release, wanted, place)
    return place


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time does this; the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(release: str, wanted: list[str], place: Path) -> None:
    for old in CACHE.glob(f"{place.name.rpartition('-')[0]}-*"):
        shutil.rmtree(old)
    made = place.with_name(f".{place.name}")
    shutil.rmtree(made, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt",
               "--dpkgopt=force-unsafe-io", f"--aptopt={APT_PATIENCE}",
               f"--include={','.join(wanted)}",
               release, str(made), f"deb {mirror()} {release} main"]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    made.rename(place)


def relations(field: str) -> list[str]:
    """The package names in a field of debian/control, without versions, profiles and variables."""
    control = (ROOT / "debian" / "control").read_text(encoding="utf-8")
    block = re.search(rf"^{field}:\n((?: .*\n)+)", control, re.MULTILINE)
    assert block, f"debian/control has no {field}"
    entries = (line.strip().rstrip(",") for line in block[1].splitlines())
    names = [re.split(r"[\s<(]", entry)[0] for entry in entries if not entry.startswith("$")]
    return ["debhelper" if name == "debhelper-compat" else name for name in names]
