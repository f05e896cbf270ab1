"""`make bench-console`: how fast the console and its API are after years, and what clients notice.

Each page is asked for in turn with an empty page of Falcon's, round after round; a page's first
view is that of a console which has just been started.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from airoxy.store.schema import open_database
from bench import machine, servers
from bench.console_pages import Figures, pages, text
from tests.console.running import beside
from tests.console.seed import fill
from tests.ports import free_port

RESULTS = Path(__file__).parent / "RESULTS-console.md"
#: What the service's CPUWeight=20 is as niceness, where all else has 100.
_NICENESS = 7
#: Clients, and how long each waits between two requests (ms): some hundred requests a second.
_CLIENTS, _PAUSE = 8, 20


class Visitor:
    """A browser that keeps its connection."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"cookie": cookie} if cookie else {}
        self._connection.connect()

    def see(self, path: str) -> tuple[float, int]:
        """Milliseconds until the page is there, and its bytes."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        taken = time.perf_counter() - began
        assert answer.status == 200, (path, answer.status, body[:300])
        return taken * 1000, len(body)

    def close(self) -> None:
        self._connection.close()


class EmptyPage:
    """A Falcon on a uvicorn with a page that has nothing in it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen([sys.executable, "-m", "bench.empty_page", str(self.port)])
        while True:
            with suppress(OSError):
                Visitor(self.port).close()
                break
            assert self._process.poll() is None
            time.sleep(0.05)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


class Bench:
    """A console beside a server, on a database of years."""

    def __init__(self, directory: Path, database: Path) -> None:
        self._upstream = servers.upstream()
        self.server = servers.airoxy(
            directory / "airoxy", "airoxy", "http", self._upstream, database=str(database)
        )
        assert self.server.airoxy
        self.console = beside(self.server.airoxy, directory / "console")
        self._cookie = self._start().browser("maria").cookie
        first = datetime.datetime.now(datetime.UTC).date().replace(day=1)
        before = first - datetime.timedelta(1)
        self.figures = {page: Figures() for page in pages(f"{before:%Y-%m}")}
        self.empty = Figures()

    def _start(self) -> Any:
        self.console.log.unlink(missing_ok=True)  # that it is ready has to be a new line
        self.console.start()
        os.setpriority(os.PRIO_PROCESS, self._pid, _NICENESS)
        with suppress(OSError):  # of the whole session, where Linux groups processes by them
            Path(f"/proc/{self._pid}/autogroup").write_text(str(_NICENESS))
        return self.console

    @property
    def _pid(self) -> int:
        return int(self.console.process.pid)

    def memory(self) -> float:
        return machine.memory(self._pid)

    def visitor(self) -> Visitor:
        return Visitor(self.console.port, self._cookie)

    def first_views(self) -> None:
        for page, figures in self.figures.items():
            if page.is_filtered:  # of which nothing is kept
                continue
            self.console.stop()
            self._start()
            with closing(self.visitor()) as visitor:
                visitor.see("/account")
                figures.first, _ = visitor.see(page.path)

    def views(self, count: int, empty: int) -> None:
        with closing(self.visitor()) as visitor, closing(Visitor(empty)) as nothing:
            for page, figures in self.figures.items():
                _, figures.size = visitor.see(page.path)
            for _ in range(count):
                for page, figures in self.figures.items():
                    before = machine.cpu_ns(self._pid)
                    figures.times.append(visitor.see(page.path)[0])
                    figures.cpu += (machine.cpu_ns(self._pid) - before) / 1e6
                    self.empty.times.append(nothing.see("/")[0])

    def clients(self, seconds: float) -> dict[str, Any]:
        """What the load generator tells."""
        options = ("-c", str(_CLIENTS), "-p", str(_PAUSE * 1000), "-d", str(seconds))
        return servers.load(self.server, "size=1000", *options)

    def clients_beside(self, seconds: float) -> dict[str, Any]:
        """The same, while somebody clicks without a pause."""
        over = threading.Event()

        def click() -> None:
            with closing(self.visitor()) as visitor:
                while not over.is_set():
                    for page in self.figures:
                        if not over.is_set():
                            visitor.see(page.path)

        clicker = threading.Thread(target=click)
        clicker.start()
        try:
            return self.clients(seconds)
        finally:
            over.set()
            clicker.join()

    def close(self) -> None:
        with ExitStack() as stack:  # all of them, whatever is wrong with one
            for each in (self._upstream, self.server, self.console):
                stack.callback(each.stop)


def measure(database: Path, options: argparse.Namespace) -> str:
    """The page of all figures."""
    with tempfile.TemporaryDirectory() as path, closing(EmptyPage()) as empty:
        with closing(Bench(Path(path), database)) as bench:
            print("first views …", flush=True)
            bench.first_views()
            memory = [("after the first page", bench.memory())]
            print("views …", flush=True)
            bench.views(options.rounds, empty.port)
            memory.append((f"after {options.rounds + 1} views of every page", bench.memory()))
            print("clients …", flush=True)
            turns = [
                (bench.clients(options.seconds), bench.clients_beside(options.seconds))
                for _ in range(options.turns)
            ]
            memory.append(("at the end", bench.memory()))
    clients = dict(zip(("alone", "beside the console"), zip(*turns, strict=True), strict=True))
    return text(
        bench.figures, bench.empty, memory, clients, machine.description(), options,
        count=_CLIENTS, pause=_PAUSE,
    )  # fmt: skip


def _fill(database: Path, options: argparse.Namespace) -> None:
    with closing(open_database(database)) as db:
        fill(db, time.time(), key_count=options.keys, token_count=options.tokens,
             rows=options.rows, days=options.days)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.console", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the usage log")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--days", type=int, default=3 * 365, help="that have daily sums")
    parser.add_argument("--rounds", type=int, default=20, help="views of each page")
    parser.add_argument("--turns", type=int, default=5, help="of clients, alone and beside")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one such turn")
    parser.add_argument("--copy", type=Path, metavar="DIRECTORY",
                        help="where airoxy.db has been filled already")  # fmt: skip
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        database = Path(path) / "airoxy.db"
        if options.copy:
            shutil.copytree(options.copy, path, dirs_exist_ok=True)
        else:
            print("filling a database …", flush=True)
            _fill(database, options)
        found = measure(database, options)
    print(found)
    if not options.copy:
        RESULTS.write_text(found)


if __name__ == "__main__":
    main()
