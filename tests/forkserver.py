"""Python programs started by fork from a process that has airoxy imported already.

A start costs some 20 ms instead of 250 (a command) or 700 (a server), and an end 4 instead of 60.
It is otherwise one of `python -m MODULE`: a process of its own, with its own arguments,
environment, descriptors, session and end. It inherits nothing else of the test's process (limits,
processors), and others see the fork server's command line.

Invariant: the fork server ends when its last user has, and reaps only what is asked for.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
#: The longest request: a command line and an environment.
_MOST = 1 << 18
#: What airoxy imports inside functions only.
_LAZY = (
    "brotli", "cryptography.hazmat.primitives.ciphers.aead", "encodings.idna",
    "encodings.utf_8_sig", "getpass", "httpx", "importlib.metadata", "multiprocessing", "readline",
    "sqlite3", "uuid", "xml.etree.ElementTree", "zoneinfo", "zstandard",
)  # fmt: skip


class Process:
    """A program that was started: what of `subprocess.Popen` the tests use."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises TimeoutExpired."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(self._server.reap(self.pid))
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Starts programs of one Python, from this test process."""

    def __init__(self, python: str, environ: dict[str, str]) -> None:
        self._asking = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [python, "-m", __name__, str(theirs.fileno())], cwd=ROOT, env=environ,
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environ: dict[str, str],
        descriptors: tuple[int, int, int],
        *,
        session: bool = False,
    ) -> Process:
        """`python -m MODULE ARGUMENTS` with these for standard input, output and error."""
        asked = {"module": module, "arguments": arguments, "environ": environ, "session": session}
        with self._asking:
            socket.send_fds(self._ours, [json.dumps(asked).encode()], descriptors)
            return Process(self, self._answer())

    def reap(self, pid: int) -> int:
        """The wait status of one that has ended."""
        with self._asking:
            self._ours.send(json.dumps({"reap": pid}).encode())
            return self._answer()

    def _answer(self) -> int:
        answer = self._ours.recv(64)
        assert answer, f"the fork server has ended: {self._process.wait()}"
        return int(answer)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


# The server's own side


def _serve(line: socket.socket) -> None:
    """Until the test process has gone; in a child, until its program ends."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(line, _MOST, 3)
        if not data:
            return
        asked = json.loads(data)
        if "reap" in asked:
            line.send(str(os.waitpid(asked["reap"], 0)[1]).encode())
            continue
        if (pid := os.fork()) == 0:
            line.close()
            _become(asked, descriptors)
            return
        for each in descriptors:
            os.close(each)
        line.send(str(pid).encode())


def _become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Run the program that was asked for, as the interpreter does after its start."""
    if asked["session"]:
        os.setsid()
    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(asked["environ"])
    text = {"encoding": "utf-8", "errors": "surrogateescape", "closefd": False}
    sys.stdin = open(0, **text)  # noqa: SIM115
    sys.stdout = open(1, "w", **text)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, **text | {"errors": "backslashreplace"})  # noqa: SIM115
    sys.argv[1:] = asked["arguments"]
    sys.orig_argv[:] = [sys.executable, "-m", asked["module"], *asked["arguments"]]
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        _end(end.code or 0)
    _end(0)


def _end(status: int) -> None:
    """As the interpreter ends, but for freeing all that the fork server has imported, which is most
    of the work of a program that was forked. Where the output cannot be written, it ends itself."""
    threading._shutdown()
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _preload() -> None:
    """Import whatever airoxy may; what cannot be imported is told by the program that needs it."""
    import airoxy

    found = pkgutil.walk_packages(airoxy.__path__, "airoxy.", onerror=lambda _: None)
    for name in [*(each.name for each in found if each.name != "airoxy.__main__"), *_LAZY]:
        with suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    _preload()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as line:
        _serve(line)
