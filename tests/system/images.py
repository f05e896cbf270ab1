"""The Debian systems that the tests boot: a base, and layers with more packages above it, each made
once and kept.

Invariant: a layer is never written to again. Its name tells release, kind and a digest of the
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
#: Each is a layer above the one before.
KINDS = ("minimal", "ready", "build")

#: A system as an administrator may have it, with what the tests look at it with.
BOOT = ("systemd", "systemd-sysv", "dbus", "curl", "procps")
MAN = ("man-db",)
CHECKS = ("autopkgtest", "faketime", "git", "lintian", "locales", "piuparts", "xz-utils")


#: A mirror that stumbles must not fail a test.
APT_PATIENCE = 'Acquire::Retries "5";'
#: Into $1, above the layers $2, the packages after those; nothing is started, as by mmdebstrap.
_INSTALL = """
set -e
place=$1 lower=$2
shift 2
mkdir "$place" "$place/up" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$place/up,workdir=$place/work" overlay "$place/root"
cd "$place/root"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
[ ! -e etc/resolv.conf ] || mount --bind /etc/resolv.conf etc/resolv.conf
printf '#!/bin/sh\\nexit 101\\n' > usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
inside="chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
    LC_ALL=C.UTF-8 ${http_proxy:+http_proxy=$http_proxy}"
$inside apt-get -qq -o Acquire::Languages=none update
$inside apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "$@" > /dev/null
$inside apt-get clean
rm -r var/lib/apt/lists/* usr/sbin/policy-rc.d
"""


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


def image(release: str, kind: str) -> tuple[Path, ...]:
    """The layers of an image, the topmost first; missing ones are made now. Raises NoMirror."""
    layers: tuple[Path, ...] = ()
    for each in KINDS[: KINDS.index(kind) + 1]:
        layers = (_layer(release, each, layers), *layers)
    return layers


def _layer(release: str, kind: str, below: tuple[Path, ...]) -> Path:
    wanted = packages(kind)
    content = " ".join(wanted) + (_INSTALL if below else "")
    place = CACHE / f"{release}-{kind}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    with locked(place.name):
        if not place.is_dir():
            _build(release, wanted, place, below)
    return place / "up" if below else place


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time does this; the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(release: str, wanted: list[str], place: Path, below: tuple[Path, ...]) -> None:
    for kind in KINDS[len(below) :]:  # what stands above an old one falls with it
        for old in CACHE.glob(f"{release}-{kind}-*"):
            shutil.rmtree(old)
    made = place.with_name(f".{place.name}")
    shutil.rmtree(made, ignore_errors=True)
    if below:
        command = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation", "private",
                   "--pid", "--fork", "--kill-child", "sh", "-c", _INSTALL, "install",
                   str(made), ":".join(map(str, below)), *wanted]  # fmt: skip
    else:
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
