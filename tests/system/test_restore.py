"""A backup comes back on another machine, as the operators' guide has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.system.machine import Machine
from tests.system.site import Site

SEALED = "/etc/credstore.encrypted/airoxy-token-key"


def test_a_drill_on_another_machine_uses_nothing_up(
    site: Site, boot: Callable[..., Machine], installed: tuple[Path, ...]
) -> None:
    here, there = site.machine, boot(*installed)
    login = "sk-ant-oat-test-one sk-ant-ort-test-one"
    here.run(f"airoxy token add {login} --name login --no-check")
    here.run("airoxy token rotate-key")  # both are copies of one machine, and had the same key
    here.run("airoxy backup /root/backup.db")
    backup = here.run("base64 --wrap=0 /root/backup.db")
    digits = here.run(f"systemd-creds decrypt --name=airoxy-token-key {SEALED} -")

    there.run("base64 --decode > /root/backup.db", stdin=backup)
    # Without the key first, which is what people forget: it serves, and says what is missing.
    told = there.run("airoxy restore --drill /root/backup.db")
    assert "encrypted with a key that is not here" in told
    assert there.run("systemctl is-active airoxy").strip() == "active"
    assert "client" in there.run("airoxy api-key list")
    encrypt = f"systemd-creds encrypt --name=airoxy-token-key --tpm2-pcrs= - {SEALED}"
    there.run(encrypt, stdin=digits)
    told = there.run("airoxy restore --drill /root/backup.db")
    assert "This is a drill: 1 OAuth tokens are disabled" in told
    assert "not here" not in told

    listed = {row["name"]: row for row in json.loads(there.run("airoxy token list --json"))}
    assert all(row["is_readable"] for row in listed.values())
    assert {name: row["is_active"] for name, row in listed.items()} == {"one": True, "login": False}
    enabled = there.run("systemctl is-enabled airoxy-refresh-tokens.timer", check=False)
    assert enabled.strip() == "disabled"
    assert there.run("find /var/lib/airoxy -not -user airoxy") == ""
    # What the drill was done with is still good where it is used.
    assert site.ask() == 200
