"""What operators read in the journal, in /health and under commands while airoxy runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any

import pytest

from tests.docs.curl import HELLO
from tests.docs.provocations.scene import Scene, has_run, post, said, says
from tests.fake_anthropic.api import OAUTH_PATH
from tests.program import Airoxy

OAUTH = ("sk-ant-oat-test-two", "sk-ant-ort-test-two")


@says("The database cannot be written: …; requests go on, … log rows wait.")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    with locked(airoxy):
        airoxy.request("POST", "/v1/messages", HELLO, key=key)
        return said(airoxy, "log rows wait")


@contextlib.contextmanager
def locked(airoxy: Airoxy) -> Any:
    with contextlib.closing(sqlite3.connect(airoxy.database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


@says("… is locked by another program; try again in a moment.")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    with locked(airoxy):
        return airoxy.run("api-key", "toggle", "1").stderr


@says("The tokens in … are encrypted, and their key cannot be found (…")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    airoxy.token(*OAUTH)
    airoxy.database.with_name("token.key").unlink()
    return airoxy.run("token", "refresh").stderr


@says("the OAuth endpoint answered HTTP 400 invalid_grant (…")
def _(scene: Scene) -> str:
    airoxy = has_run(scene)
    airoxy.token(*OAUTH)
    scene.upstream.revoke(OAUTH[1])
    done = airoxy.run("token", "refresh")
    return done.stdout + done.stderr


@says(
    "A refresh of token … was interrupted. If Anthropic had answered it already, its refresh token"
    " is spent…"
)
def _(scene: Scene) -> str:
    hold = scene.upstream.script(path=OAUTH_PATH).hold()
    airoxy = has_run(scene)
    airoxy.token(*OAUTH)
    refreshing = airoxy.begin("token", "refresh")
    hold.wait_arrived()
    refreshing.kill()
    refreshing.wait()
    return said(airoxy.start(), "interrupted")


@says("Every access token is cooling or expired: airoxy token list")
def _(scene: Scene) -> str:
    scene.upstream.script().spend_limit()
    airoxy, key = scene.running()
    post(airoxy, key)
    return str(airoxy.request("GET", "/health").json()["reason"])


@says("There is no active access token: airoxy token add")
def _(scene: Scene) -> str:
    return str(scene.install().start().request("GET", "/health").json()["reason"])


@says("No price for these, so their cost is a guess")
def _(scene: Scene) -> str:
    airoxy, key = scene.running()
    airoxy.request("POST", "/v1/messages", HELLO | {"model": "tomorrow-1"}, key=key)
    airoxy.wait_logs(1)
    return airoxy.cli("prices")


@says("Only root may do that: sudo airoxy …")
def _(scene: Scene) -> str:
    from airoxy.cli.system import system

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(Exception, match="root") as raised:
            system.require_root("start")
    return str(raised.value)


@says("systemd does not run here, so there are no units; …")
def _(scene: Scene) -> str:
    from airoxy.cli.system import system

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "BOOTED", scene.directory / "not-booted")
        with pytest.raises(Exception, match="systemd") as raised:
            system.require_systemd()
    return str(raised.value)
