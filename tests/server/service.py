"""The stub server as a service, seen from where systemd sits: its journal, what it notifies.

Invariant: every wait ends with an event or fails loudly, and `stop` leaves no process behind.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.ports import free_port
from tests.program import ROOT, environment

#: Arguments for Python. As a module: beside a script, the folder http would hide the standard one.
STUB = ("-m", "tests.server.stub_server")
#: A reload takes ten seconds and more where twenty processes want a processor.
PATIENCE = 60.0


class Service:
    """`listener` is what systemd passes; without, the service binds by its configuration."""

    def __init__(self, directory: Path, listener: socket.socket | None = None) -> None:
        self.directory = directory
        self.config = directory / "airoxy.yaml"
        self.listener = listener
        self.port = listener.getsockname()[1] if listener else free_port()
        self.settings: dict[str, Any] = {"host": "127.0.0.1", "port": self.port}
        self.environ = environment()
        self.trust: ssl.SSLContext | None = None
        self.notifications: list[str] = []
        #: What systemd stores, by its name.
        self.stored: dict[str, int] = {}
        self.journal = ""
        self._news = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._streams: list[Stream] = []
        self.configure()

    def configure(self, **changes: Any) -> None:
        self.settings |= changes
        self.port = self.settings["port"]
        text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in self.settings.items())
        # A worker may be reading it, and takes an empty file for the defaults.
        written = self.config.with_suffix(".new")
        written.write_text(text)
        written.replace(self.config)

    # The process

    def start(self, *, until: str = "READY=1") -> Self:
        self.notifications = []
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(f"\0{self.directory}")
        self.environ["NOTIFY_SOCKET"] = f"@{self.directory}"
        self._thread(self._read_notifications)
        return self._execute(until)

    def start_again(self) -> Self:
        """As systemd does after the parent was killed, with what it has stored."""
        self.wait()
        before = self.notifications.count("READY=1")
        self._execute("")
        self.wait_notified("READY=1", before + 1)
        return self

    def _execute(self, until: str) -> Self:
        passed = {name: fd for name, fd in self.stored.items() if not _is_closed(fd)}
        if self.listener:
            passed = {"http": self.listener.fileno(), **passed}
        self.process = subprocess.Popen(
            self._command(passed), cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            pass_fds=list(passed.values()),
        )  # fmt: skip
        self._processes.append(self.process)
        self._thread(self._read_journal, self.process)
        if until:
            self.wait_notified(until)
        return self

    def _thread(self, target: Callable[..., None], *args: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=args))
        self._threads[-1].start()

    def _command(self, passed: dict[str, int]) -> list[str]:
        command = [sys.executable, *STUB, str(self.config)]
        if not passed:
            return command
        # As systemd does it: descriptors from 3 on, and variables that name the very process.
        names = f"LISTEN_FDS={len(passed)} LISTEN_FDNAMES={':'.join(passed)}"
        script = f'LISTEN_PID=$$ SYSTEMD_EXEC_PID=$$ {names} exec "$@"'
        moved = [f"{100 + n}<&{fd}" for n, fd in enumerate(passed.values())]
        moved += [f"{3 + n}<&{100 + n} {100 + n}<&-" for n in range(len(passed))]
        return ["bash", "-c", f"{script} {' '.join(moved)}", "sh", *command]

    def _read_journal(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        for line in process.stdout:
            with self._news:
                self.journal += line.decode()
                self._news.notify_all()

    def _read_notifications(self) -> None:
        while True:
            sent, fds, _, _ = socket.recv_fds(self._ear, 4096, 16)
            news = sent.decode().splitlines()
            if news == ["END"]:
                return
            with self._news:
                names = [line.partition("=")[2] for line in news if line.startswith("FDNAME=")]
                if news[0].startswith("FDSTORE"):
                    self._store(names[0], fds)
                else:
                    self.notifications += news
                self._news.notify_all()

    def _store(self, name: str, fds: list[int]) -> None:
        """Without one the descriptor is given up."""
        if name in self.stored:
            os.close(self.stored.pop(name))
        if fds:
            (self.stored[name],) = fds

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """Until `condition`, which is looked at whenever the service says something."""
        with self._news:
            done = self._news.wait_for(condition, PATIENCE)
        assert done, f"no {what}\n{self.notifications}\n{self.journal}"

    def wait_notified(self, state: str, count: int = 1) -> None:
        self.wait_for(lambda: self.notifications.count(state) >= count, f"{count} times {state}")

    def wait_journal(self, text: str) -> None:
        self.wait_for(lambda: text in self.journal, text)

    def wait_status(self, text: str) -> None:
        self.wait_for(lambda: any(text in each for each in self.notifications), f"status {text}")

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def reload(self) -> None:
        """`systemctl reload`, until it has come to its end, good or bad."""
        before = self.notifications.count("READY=1")
        self.signal(signal.SIGHUP)
        self.wait_notified("READY=1", before + 1)

    def wait(self) -> int:
        """Until the parent has ended: its exit status."""
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """The end of it, whatever state the service is in."""
        if not self._threads:
            return
        (self.directory / "go").touch()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self._kill_all()
        self._kill_all()
        self.process.wait()
        # The datagram may find no room while the reader is behind; the reader makes room.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            mouth.sendto(b"END", self._ear.getsockname())
        for thread in self._threads:
            thread.join()
        for stream in self._streams:
            stream.close()
        for fd in self.stored.values():
            os.close(fd)
        self._ear.close()
        for process in self._processes:
            assert process.stdout
            process.stdout.close()
        self._threads, self._streams, self._processes, self.stored = [], [], [], {}

    def _kill_all(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    # What is running

    @property
    def children(self) -> list[int]:
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(children).read_text().split()]

    def descriptors(self) -> list[int]:
        """How many the parent and each of its children have open."""
        pids = [self.process.pid, *sorted(self.children)]
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]

    # Its clients

    def connect(self) -> http.client.HTTPConnection:
        if self.trust:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=PATIENCE, context=self.trust
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, path: str = "/") -> str:
        connection = self.connect()
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def wait_refusing(self) -> None:
        """Until nobody listens any more; a client that comes just before may be answered."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask()
            except ConnectionError:
                return
            assert time.monotonic() < deadline, self.journal

    def worker(self) -> int:
        """The process id of a worker that answers."""
        return int(self.ask().split()[0])

    def open_stream(self) -> Stream:
        """A stream whose first piece has come."""
        self._streams.append(Stream(self.connect()))
        return self._streams[-1]

    def finish_streams(self) -> None:
        (self.directory / "go").touch()


def _is_closed(fd: int) -> bool:
    """Whether the other end is closed; systemd gives such a descriptor up."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def has_ended(process: int) -> bool:
    """Whether the process of this pidfd, which is closed, ends within the patience of a test."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    try:
        return bool(poll.poll(PATIENCE * 1000))
    finally:
        os.close(process)


class Stream:
    """One client's stream, on a connection of its own."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        connection.request("GET", "/stream")
        self._answer = connection.getresponse()
        assert self._answer.readline() == b"first\n"

    def read(self) -> bytes:
        """The rest, to the end of the connection, which is closed then."""
        try:
            return self._answer.read()
        finally:
            self.close()

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


class Crowd:
    """Clients that keep their connections and ask again and again, from the first answer on;
    `errors` is what went wrong."""

    def __init__(self, service: Service, clients: int = 2) -> None:
        self._service = service
        self._asked, self._leave = threading.Event(), threading.Event()
        self.errors: list[Exception] = []
        self.answers = 0
        self.who: set[str] = set()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._asked.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = self._service.connect()
        while not self._leave.is_set():
            try:
                connection.request("GET", "/")
                self.who.add(connection.getresponse().read().decode().split()[0])
                self.answers += 1
            except Exception as error:
                self.errors.append(error)
                connection.close()
            self._asked.set()
        connection.close()
