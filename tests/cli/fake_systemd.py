"""A systemctl on PATH that knows our units from a file and does little: states follow commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from airoxy.cli.system import system

#: In the shell, and with nothing but the shell: some tests start it thirty times, and Python takes
#: thirty times as long to start. Beside it are `units/`, whose files have lines as `systemctl show`
#: prints them, and `commands`, with what was asked for.
_PROGRAM = r"""#!/bin/sh
set -eu
cd "${0%/*}"

change() {  # UNIT PROPERTY=VALUE...
    file=units/$1
    shift
    for new; do
        kept=
        while IFS= read -r line; do
            [ "${line%%=*}" = "${new%%=*}" ] || kept="$kept$line
"
        done < "$file"
        printf '%s%s\n' "$kept" "$new" > "$file"
    done
}

show() {  # --property=NAME,NAME UNIT...
    wanted=,${1#--property=},
    shift
    for unit; do
        echo "Id=$unit"
        while IFS= read -r line; do
            case $wanted in *",${line%%=*},"*) printf '%s\n' "$line" ;; esac
        done < "units/$unit"
        echo
    done
}

verb=$1
shift
if [ "$verb" = show ]; then
    show "$@"
    exit
fi
[ "${1-}" != --runtime ] || shift
echo "$verb${*:+ $*}" >> commands
for unit; do
    while IFS= read -r line; do
        case "$line " in
            "refuses="*[=\ ]"$verb "*|"refuses=$verb "*)
                printf 'Job for %s failed.\nSee journalctl.\n' "$unit" >&2
                exit 1 ;;
        esac
    done < "units/$unit"
done
for unit; do
    case $verb in
        start|restart) change "$unit" ActiveState=active ;;
        stop) change "$unit" ActiveState=inactive SubState=dead ;;
        enable) change "$unit" UnitFileState=enabled ;;
        unmask) change "$unit" UnitFileState=disabled LoadState=loaded ;;
    esac
done
if [ "$verb" = daemon-reload ]; then
    for unit in units/*; do
        change "${unit#units/}" NeedDaemonReload=no
    done
fi
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
        self._directory = directory
        (directory / "units").mkdir(parents=True)
        for name, unit in {
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
        }.items():
            self._write(name, unit)
        program = directory / "systemctl"
        program.write_text(_PROGRAM)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
        monkeypatch.setattr(system, "BOOTED", directory)

    def change(self, name: str, **properties: str) -> None:
        """Several values of one property are lines; `refuses` names the verbs that fail."""
        self._write(name, self._read(name) | properties)

    def state(self, name: str) -> str:
        return self._read(name)["ActiveState"]

    @property
    def commands(self) -> list[str]:
        """What was asked for, other than to show something."""
        log = self._directory / "commands"
        return log.read_text().splitlines() if log.exists() else []

    def _read(self, name: str) -> dict[str, str]:
        unit: dict[str, str] = {}
        for line in (self._directory / "units" / name).read_text().splitlines():
            key, _, value = line.partition("=")
            unit[key] = f"{unit[key]}\n{value}" if key in unit else value
        return unit

    def _write(self, name: str, unit: dict[str, str]) -> None:
        lines = [f"{key}={line}\n" for key, value in unit.items() for line in value.split("\n")]
        (self._directory / "units" / name).write_text("".join(lines))
