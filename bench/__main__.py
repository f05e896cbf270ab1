"""`make bench`: airoxy beside the upstream alone, nginx, and a peer if one is installed.

Invariant: figures that are compared come from the same run, measured in turn, round after round;
the medians are shown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import machine, report, servers, single
from bench.rounds import Rounds

RESULTS = Path(__file__).parent / "RESULTS.md"


@contextmanager
def _running(
    directory: Path, tree: Path | None
) -> Iterator[tuple[list[servers.Server], servers.Server]]:
    """What is compared, and the upstream behind it."""
    tls = servers.certificate(directory)
    started: list[servers.Server] = []
    try:
        plain = servers.upstream()
        started.append(plain)
        secure = servers.upstream(*tls)
        started.append(secure)
        there = [plain]
        for scheme, behind in (("http", plain), ("https", secure)):
            suffix = ", TLS" if behind is secure else ""
            for make, name in ((servers.nginx, "nginx"), (servers.airoxy, "airoxy")):
                there.append(make(directory / (name + scheme), name + suffix, scheme, behind))
                started.append(there[-1])
        if tree:
            make_other, where = servers.other_airoxy, directory / "other"
            there.append(make_other(where, f"airoxy of {tree.name}", "http", plain, tree))
            started.append(there[-1])
        if peer := servers.litellm(directory / "litellm", plain):
            there.append(peer)
            started.append(peer)
        yield there, plain
    finally:
        for server in reversed(started):
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--only", action="append", help="a part of a measurement's name")
    parser.add_argument("--beside", type=Path, help="another tree, whose airoxy is measured too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        directory = Path(path)
        rounds = Rounds(options.seconds, options.only)
        with _running(directory, options.beside) as (there, _):
            for number in range(options.rounds):
                print(f"round {number + 1} of {options.rounds} …", flush=True)
                rounds.run(there)
        singles = single.run(directory, options.seconds, options.only)
    text = report.text(rounds, singles, options.rounds, options.seconds, machine.description())
    print(text)
    if not options.only and not options.beside:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
