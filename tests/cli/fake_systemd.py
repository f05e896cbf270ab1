"""A systemctl on PATH that knows our units from a file and does little: states follow commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airoxy.cli.system import system

_PROGRAM = """#!/usr/bin/python3 -IS
import json, sys
directory = {directory!r}
with open(directory + "/units.json") as file:
    units = json.load(file)
verb, *words = (word for word in sys.argv[1:] if word != "--runtime")
if verb == "show":
    names = [word for word in words if not word.startswith("--")]
    (wanted,) = (word.partition("=")[2].split(",") for word in words if word.startswith("--"))
    blocks = []
    for name in names:
        unit = dict(units[name], Id=name)
        lines = [f"{{key}}={{line}}" for key in wanted if key in unit
                 for line in unit[key].split("\\n")]
        blocks.append("\\n".join(lines))
    print("\\n\\n".join(blocks))
    sys.exit()
with open(directory + "/commands", "a") as file:
    file.write(" ".join([verb, *words]) + "\\n")
change = {{
    "start": {{"ActiveState": "active"}},
    "restart": {{"ActiveState": "active"}},
    "stop": {{"ActiveState": "inactive", "SubState": "dead"}},
    "enable": {{"UnitFileState": "enabled"}},
    "unmask": {{"UnitFileState": "disabled", "LoadState": "loaded"}},
}}.get(verb, {{}})
for name in words:
    if verb in units[name].get("refuses", "").split():
        sys.exit(f"Job for {{name}} failed.\\nSee journalctl.")
    units[name] |= change
if verb == "daemon-reload":
    for unit in units.values():
        unit["NeedDaemonReload"] = "no"
with open(directory + "/units.json", "w") as file:
    json.dump(units, file)
"""

_HEALTHY = {
    "LoadState": "loaded", "ActiveState": "active", "SubState": "running",
    "UnitFileState": "enabled", "NeedDaemonReload": "no", "Result": "success",
    "ActiveEnterTimestamp": "Sun 2026-11-22 11:00:00 UTC",
}  # fmt: skip
_SERVICE = {"User": "", "MainPID": "0", "StatusText": "", "ProtectSystem": "strict",
            "StateDirectory": "airoxy", "ReadWritePaths": "",
            "ExecMainExitTimestamp": ""}  # fmt: skip
_TIMER = {"LastTriggerUSec": "", "NextElapseUSecRealtime": "Sun 2026-11-22 18:00:00 UTC"}
_JOB = {"ActiveState": "inactive", "SubState": "dead", "UnitFileState": "static"}


class FakeSystemd:
    """All units are healthy to begin with; `change` makes one otherwise."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
        directory.mkdir()
        self._directory = directory
        self._write(
            {
                "airoxy.socket": {**_HEALTHY, "Listen": listen},
                "airoxy.service": _HEALTHY | _SERVICE,
                "airoxy-console.socket": {**_HEALTHY, "Listen": "127.0.0.1:3801 (Stream)"},
                "airoxy-console.service": _HEALTHY | _SERVICE | _JOB,
                "airoxy-refresh-tokens.timer": _HEALTHY | _TIMER,
                "airoxy-tidy-log.timer": _HEALTHY | _TIMER,
                "airoxy-notify.timer": _HEALTHY | _TIMER,
                "airoxy-refresh-tokens.service": _HEALTHY | _SERVICE | _JOB,
                "airoxy-tidy-log.service": _HEALTHY | _SERVICE | _JOB,
                "airoxy-notify.service": _HEALTHY | _SERVICE | _JOB,
            }
        )
        program = directory / "systemctl"
        program.write_text(_PROGRAM.format(directory=str(directory)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
        monkeypatch.setattr(system, "BOOTED", directory)

    def change(self, name: str, **properties: str) -> None:
        """`refuses` names the verbs that fail."""
        units = self._read()
        units[name] |= properties
        self._write(units)

    def state(self, name: str) -> str:
        return self._read()[name]["ActiveState"]

    @property
    def commands(self) -> list[str]:
        """What was asked for, other than to show something."""
        log = self._directory / "commands"
        return log.read_text().splitlines() if log.exists() else []

    def _read(self) -> dict[str, dict[str, str]]:
        return dict(json.loads((self._directory / "units.json").read_text()))

    def _write(self, units: dict[str, dict[str, str]]) -> None:
        (self._directory / "units.json").write_text(json.dumps(units))
