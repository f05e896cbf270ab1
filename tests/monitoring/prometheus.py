"""A Prometheus of the distribution, with the shipped configuration, that asks one airoxy."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import yaml

from tests.ports import free_port
from tests.program import ROOT, Airoxy, environment, need

EXAMPLES = ROOT / "etc" / "monitoring"
#: How often it asks; the example's own 15 s would make a test wait.
INTERVAL = "500ms"
PATIENCE = 60


class Prometheus:
    """`query` is PromQL at this moment; its process is ended with the block."""

    def __init__(self, directory: Path, airoxy: Airoxy) -> None:
        directory.mkdir()
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = directory / "log"
        config = directory / "prometheus.yml"
        config.write_text(configuration(f"127.0.0.1:{airoxy.port}"))
        self._command = [
            need("prometheus"), f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        try:
            self.wait(lambda: self._get("/-/ready"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of the answer. An expression that is none fails the test."""
        told = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        answer = json.loads(told)
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float | None:
        """That of the one series of the answer, if there is one."""
        found = self.query(expression)
        assert len(found) < 2, (expression, found)
        return float(found[0]["value"][1]) if found else None

    def wait(self, holds: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    def rules(self) -> list[dict[str, Any]]:
        """The alerts as they stand."""
        groups = json.loads(self._get("/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(self._url + path, timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return error.read() if path.startswith("/api") else b""
        except OSError:
            assert path == "/-/ready", path
            return b""


def configuration(target: str) -> str:
    """The shipped one, for this target and in a hurry."""
    document = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    document["rule_files"] = [str(EXAMPLES / name) for name in document["rule_files"]]
    (job,) = document["scrape_configs"]
    job["scrape_interval"] = INTERVAL
    job["static_configs"] = [{"targets": [target]}]
    document["global"] = {"evaluation_interval": INTERVAL}
    return json.dumps(document)  # JSON is YAML
