"""A machine on which airoxy works: a token, a key, a fake Anthropic, and clients in any number."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any, Self

from tests.system.images import ROOT
from tests.system.machine import Machine

TOKEN = "sk-ant-api-test-one"
CONFIG = "upstream: {url: 'http://127.0.0.1:4000'}\n"
#: What the programs in `inside` need.
TESTS = ("__init__.py", "ports.py", "fake_anthropic", "system/__init__.py", "system/inside")
PATIENCE = 60
#: What a boot does beside airoxy: a third of its CPU time, and nothing that a test of a site sees.
ASIDE = """
systemctl --quiet mask dev-hugepages.mount dev-mqueue.mount systemd-logind systemd-remount-fs \\
    systemd-sysctl systemd-sysusers systemd-tmpfiles-setup-dev systemd-update-utmp \\
    systemd-update-utmp-runlevel systemd-user-sessions
mkdir -p /etc/systemd/system-generators && cd /usr/lib/systemd/system-generators
for each in systemd-*; do ln -s /dev/null /etc/systemd/system-generators/$each; done
"""


class Site:
    def __init__(self, machine: Machine, key: str) -> None:
        self.machine, self.key = machine, key
        upstream = self._program("upstream", stdout=subprocess.PIPE)
        assert upstream.stdout
        assert upstream.stdout.readline() == "listening\n"

    @classmethod
    def furnish(cls, machine: Machine) -> str:
        """Put on a machine what a site needs; gives the client's key."""
        machine.run(ASIDE)
        for name in TESTS:
            machine.put(f"/opt/tests/{name}", ROOT / "tests" / name)
        machine.put("/etc/airoxy/airoxy.yaml", CONFIG)
        machine.run("systemctl reload airoxy")
        site = cls(machine, "")
        machine.run("airoxy token add - --name one", stdin=f"{TOKEN}\n")
        site.key = json.loads(machine.run("airoxy api-key add --name client --json"))["key"]
        # Before the server knows of the token it would refuse, and log, what is asked.
        until(lambda: machine.status("curl -sf http://127.0.0.1:3800/health")[0] == 0)
        until(lambda: site.ask() == 200)
        # systemd would wait for it when the machine is switched off.
        machine.run("pkill --full '[i]nside.upstream'")
        return site.key

    def ask(self) -> int:
        """The status of one short request; 0 if there was no answer."""
        message = {"role": "user", "content": "Hi"}
        body = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": [message]}
        said = self.machine.run(
            "curl -s -o /dev/null -w '%{http_code}' --max-time 30"
            f" -H 'x-api-key: {self.key}' -H 'anthropic-version: 2023-06-01'"
            f" -d '{json.dumps(body)}' http://127.0.0.1:3800/v1/messages",
            check=False,
        )
        return int(said)

    def load(self, *, clients: int = 4, streams: int = 0, seconds: float = 10) -> Load:
        words = f"load {self.key} --clients {clients} --streams {streams} --seconds {seconds}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return Load(self._program(words, **pipes))

    def reload(self) -> None:
        """Reload, and wait until other workers than before serve."""
        before = self.workers()
        self.machine.run("systemctl reload airoxy")
        self.until_renewed(before)

    def start_ms(self) -> float:
        """How long this machine takes at worst to start the service, which is what the slowest of
        thousands of requests is compared with."""
        took = []
        for _ in range(3):
            began = time.monotonic()
            self.machine.run("systemctl restart airoxy")
            took.append(time.monotonic() - began)
        return 1000 * max(took)

    def until_renewed(self, before: set[str]) -> None:
        """Wait until the service serves with a worker that is not one of those before."""
        until(lambda: self.workers() - before and self.state() == "active")

    def workers(self) -> set[str]:
        """Process ids of the parent's children."""
        return set(self.machine.run(f"pgrep -P {self.main_pid()}", check=False).split())

    def main_pid(self) -> str:
        return self.machine.run("systemctl show -P MainPID airoxy.service").strip()

    def state(self) -> str:
        return self.machine.run("systemctl show -P ActiveState airoxy.service").strip()

    def journal(self, unit: str = "airoxy.service") -> str:
        return self.machine.journal(f"--output=cat -u {unit}")

    def _program(self, words: str, **pipes: Any) -> subprocess.Popen[str]:
        return self.machine.spawn(
            f"cd /opt && exec python3 -m tests.system.inside.{words}", **pipes
        )


class Load:
    """Clients that are asking; `report` is there when the block has ended."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program
        self.report: dict[str, Any] = {}

    def __enter__(self) -> Self:
        assert self._program.stdout
        assert self._program.stdout.readline() == "running\n"
        return self

    def __exit__(self, *_: object) -> None:
        said, _ = self._program.communicate(timeout=600)
        self.report = json.loads(said)

    def hitch_ms(self) -> float:
        """By how much the slowest request was slower than usual, or than the slowest one that did
        not pass through airoxy."""
        usual = max(self.report["usual_ms"], self.report["slowest_direct_ms"])
        return self.report["slowest_ms"][-1] - usual


def until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for what no event tells of."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def read(machine: Machine, path: str) -> str:
    return (machine.root / path.lstrip("/")).read_text()
