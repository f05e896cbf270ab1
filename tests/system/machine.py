"""A throw-away computer: an image of images.py under an overlay, with a real systemd as process 1.

Invariant: whatever happens, no process stays. The mounts are in a namespace that ends with the last
process; the processes are in a namespace whose first one dies with its test, and all with it; what
such a test leaves of directories the next one sweeps. Machines have their own network, so that
several of them have a port 3800 each.

It boots in half a second on hosts whose own process 1 is not systemd, too; what makes that work is
in _BOOT, and each line of it is needed.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from tests.system import images, netproxy

_BOOT = """
set -e
run=$1 lower=$2 upper=$3 group=$4
mkdir -p "$run/root"
if [ "$upper" = memory ]; then
    mkdir -p "$run/memory"
    mount -t tmpfs -o size=4g,mode=755 tmpfs "$run/memory"
    upper=$run/memory
fi
mkdir -p "$upper/up" "$upper/work"
mount -t overlay -o "lowerdir=$lower,upperdir=$upper/up,workdir=$upper/work" overlay "$run/root"
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$group" "/sys/fs/cgroup/$group/supervisor"
echo $$ > "/sys/fs/cgroup/$group/supervisor/cgroup.procs"
exec systemd-nspawn --quiet --directory="$run/root" --machine="$group" --boot --register=no \\
    --keep-unit --private-network --console=pipe --link-journal=no --resolv-conf=off --timezone=off
"""
_ENVIRONMENT = {
    "HOME": "/root", "TERM": "dumb", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "cat", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}  # fmt: skip
TOOLS = ("mmdebstrap", "systemd-nspawn", "setpriv", "unshare", "nsenter", "apt-get")
#: What runs under it ends with its test, however that ended.
_UNDER_US = ("setpriv", "--pdeathsig=KILL")
#: Seconds. Long, for a slow computer on which other machines boot and build as well.
BOOT_TIMEOUT = 180
SCRIPT_TIMEOUT = 1800

_numbers = itertools.count(1)


class Failed(AssertionError):
    """A script in a machine ended with another status than 0."""


class Machine:
    """`layers` are directories, the topmost first. What is written goes to memory, or to `keep`."""

    def __init__(self, *layers: Path, keep: Path | None = None) -> None:
        self._run = run_directory(str(next(_numbers)), os.getpid())
        self.name = self._run.name
        self._layers, self._keep = layers, keep
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._helpers: list[subprocess.Popen[Any]] = []
        self.leader = 0

    # Its life

    def start(self) -> Self:
        """Power on, and return at once; `wait` waits until the system is up."""
        self._run.mkdir(parents=True)
        lower = ":".join(map(str, self._layers))
        upper = str(self._keep) if self._keep else "memory"
        with (self._run / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*_UNDER_US, "unshare", "--mount", "--propagation", "private", "--mount-proc",
                 "--pid", "--fork", "--kill-child",
                 "bash", "-c", _BOOT, "boot", self._run, lower, upper, self.name],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        return self

    def wait(self) -> Self:
        """Until everything that starts at boot has been started, or has failed to."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        while not self._leader():
            assert time.monotonic() < deadline, f"no boot: {self.console()}"
            time.sleep(0.02)  # there is no event that tells of a grandchild
        state = f"timeout {BOOT_TIMEOUT} systemctl is-system-running --wait"
        while self.run(state, check=False).strip() not in ("running", "degraded"):
            assert time.monotonic() < deadline, f"no boot: {self.console()}"
            time.sleep(0.02)  # until there is a systemd to ask
        return self

    def stop(self) -> None:
        """Pull the plug."""
        _kill(self.name)
        if self._nspawn:
            self._nspawn.kill()
            self._nspawn.wait()
        # Now nobody inside holds the other end of a pipe any more.
        for helper in self._helpers:
            helper.kill()
            helper.communicate()
        self._helpers.clear()
        _remove(self.name)

    def power_off(self) -> None:
        """Shut down as an administrator does; `keep` has the disk then."""
        self.run("systemctl poweroff", check=False)
        assert self._nspawn
        self._nspawn.wait(BOOT_TIMEOUT)
        self.stop()

    def __enter__(self) -> Self:
        return self.start().wait()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def console(self) -> str:
        return (self._run / "console").read_text(errors="replace")

    # What happens inside

    @property
    def root(self) -> Path:
        """The machine's file system, as seen from here."""
        return Path(f"/proc/{self.leader}/root")

    def run(self, script: str, *, check: bool = True, user: str = "root", stdin: str = "") -> str:
        """What a shell script says, both channels together. Raises Failed with all it said."""
        done = subprocess.run(
            [*self._enter(user), "sh", "-c", script], check=False, input=stdin, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SCRIPT_TIMEOUT,
        )  # fmt: skip
        if check and done.returncode:
            raise Failed(f"{script!r} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def status(self, script: str, *, user: str = "root", stdin: str = "") -> tuple[int, str]:
        """Exit status and output, for scripts that are meant to fail."""
        out = self.run(
            f"( {script}\n)\nstatus=$?; echo; echo $status", check=False, user=user, stdin=stdin
        )
        text, _, number = out.rstrip("\n").rpartition("\n")
        return int(number), text

    def journal(self, words: str) -> str:
        """What was logged in this boot up to now, by journalctl's `words`: the journal is written
        behind those who log."""
        return self.run(f"journalctl --sync && journalctl --boot --no-pager --quiet {words}")

    def spawn(self, script: str, **pipes: Any) -> subprocess.Popen[str]:
        """A process inside that goes on by itself; it ends with the machine at the latest."""
        started = subprocess.Popen([*self._enter("root"), "sh", "-c", script], text=True, **pipes)
        self._helpers.append(started)
        return started

    def put(self, path: str, content: str | bytes | Path, mode: int = 0o644) -> None:
        """Write a file; a Path is copied, whole directories too."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            copy = shutil.copytree if content.is_dir() else shutil.copy
            copy(content, place)
            return
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)

    def online(self) -> None:
        """Let apt inside reach the mirror, and know what is there now."""
        host = urllib.parse.urlsplit(images.mirror()).hostname
        proxy = subprocess.Popen(
            [*_UNDER_US, sys.executable, netproxy.__file__, str(self.leader), str(host)],
            stdout=subprocess.PIPE,
        )
        self._helpers.append(proxy)
        _first_line(proxy.stdout)
        through = f'"http://127.0.0.1:{netproxy.PORT}"'
        setting = f"Acquire::http::Proxy {through};\nAcquire::https::Proxy {through};\n"
        setting += 'Acquire::Languages "none";\n'  # translations, which are half of all
        self.put("/etc/apt/apt.conf.d/99test", setting)
        self.run("apt-get update")

    def _enter(self, user: str) -> list[str]:
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
        words = ["nsenter", f"--target={self.leader}", *spaces, "--", "env", "-i"]
        words += [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return words if user == "root" else [*words, "runuser", "-u", user, "--"]

    def _leader(self) -> int:
        """Process 1 of the machine, once it is systemd."""
        assert self._nspawn
        assert self._nspawn.poll() is None, f"no boot: {self.console()}"
        with suppress(OSError):
            for nspawn in _children(self._nspawn.pid):
                for child in _children(nspawn):
                    if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        self.leader = child
        return self.leader


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def missing() -> str | None:
    """Why no machine can be booted here, if so."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        return f"needs {', '.join(absent)} (mmdebstrap, systemd-container, util-linux)"
    try:
        images.mirror()
    except images.NoMirror as error:
        return str(error)
    return None


def run_directory(what: str, owner: int) -> Path:
    """Where something is that may be swept when the process `owner` has ended."""
    return images.CACHE / "run" / f"airoxy-test-{owner}-{_began(owner)}-{what}"


def sweep() -> None:
    """Remove what tests that were killed could not."""
    with images.locked("sweep"):
        for run in (images.CACHE / "run").glob("airoxy-test-*"):
            pid, began = run.name.split("-")[2:4]
            if _began(int(pid)) != began:
                _kill(run.name)
                _remove(run.name)


def _began(pid: int) -> str:
    """When a process was started, in ticks since the boot, so that none is taken for one that had
    its number before; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _kill(name: str) -> None:
    """Every process of a machine at once."""
    for group in _groups(name):
        with suppress(OSError):
            (group / "cgroup.kill").write_text("1")


def _groups(name: str) -> list[Path]:
    """A machine's cgroup, where this host has version 2 mounted."""
    mounts = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
    return [mount / name for mount in mounts if (mount / name).is_dir()]


def _remove(name: str) -> None:
    """Its cgroups, which processes that were killed take a moment to leave, and its files."""
    deadline = time.monotonic() + 10
    for group in _groups(name):
        while group.is_dir() and time.monotonic() < deadline:
            for each, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    os.rmdir(each)
            if group.is_dir():
                time.sleep(0.02)
    shutil.rmtree(images.CACHE / "run" / name, ignore_errors=True)


def _first_line(stream: IO[bytes] | None) -> bytes:
    assert stream
    return stream.readline()
