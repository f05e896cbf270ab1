"""What the service, or a command, says of why it does not start."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
from typing import Any

import pytest

from tests.docs.provocations.scene import Scene, has_run, said, says, serve
from tests.program import PYTHON, ROOT, environment


@says("… is taken by another program; stop that or change `port`.")
def _(scene: Scene) -> str:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return scene.refused_to_start(port=other.getsockname()[1])


@says("… needs more rights; choose a `port` above 1023.")
def _(scene: Scene) -> str:
    from airoxy.server.process import binding

    with pytest.MonkeyPatch.context() as patch:
        # Root may, and so may everybody in some containers.
        patch.setattr(socket.socket, "bind", _forbidden)
        with pytest.raises(Exception, match="rights") as raised:
            binding.bind(("127.0.0.1",), 80)
    return str(raised.value)


def _forbidden(*_: Any) -> None:
    raise PermissionError(13, "Permission denied")


@says("… is no address of this machine; change `host`.")
def _(scene: Scene) -> str:
    return scene.refused_to_start(host="192.0.2.1")


@says("systemd has passed no socket to airoxy.service: …")
def _(scene: Scene) -> str:
    airoxy = scene.install()
    # What systemd sets for the process that it starts is that process's own id.
    script = 'SYSTEMD_EXEC_PID=$$ exec "$@"'
    command = ["sh", "-c", script, "sh", PYTHON, "-m", "airoxy", "--config", airoxy.config, "serve"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60
    )
    return done.stderr


@says("… there is no such setting; …")
def _(scene: Scene) -> str:
    return scene.refused_to_start(prot=3800)


@says("There is no database … yet; `airoxy serve` makes it.")
def _(scene: Scene) -> str:
    return scene.install().run("backup", str(scene.directory / "copy")).stderr


@says(
    "… is damaged (…). Leave it where it is, stop the service and ask `airoxy doctor`, or put a"
    " backup in its place."
)
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    airoxy.database.write_bytes(b"no database" * 1000)
    return serve(airoxy)


@says("… was written by a newer airoxy (…")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    with contextlib.closing(sqlite3.connect(airoxy.database)) as db:
        db.execute("PRAGMA user_version = 1000")
    return serve(airoxy)


@says("… is another program's database; set `database` to a path of airoxy's own.")
def _(scene: Scene) -> str:
    airoxy = scene.install()
    with contextlib.closing(sqlite3.connect(airoxy.database)) as db:
        db.execute("CREATE TABLE theirs (id)")
    return serve(airoxy)


@says("… belongs to …; use sudo.")
def _(scene: Scene) -> str:
    from airoxy.cli.system import owner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda *_, **__: False)
        patch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(Exception, match="sudo") as raised:
            owner.become_owner(scene.directory / "airoxy.db")
    return str(raised.value)


@says("Not reloaded, everything goes on as before: …")
def _(scene: Scene) -> str:
    airoxy, _ = scene.running()
    airoxy.write_config(prot=3800)
    assert airoxy.process
    airoxy.process.send_signal(signal.SIGHUP)
    return said(airoxy, "Not reloaded")
