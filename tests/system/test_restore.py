"""A backup comes back on another machine, as the operators' guide and the runbooks have it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.docs.guide import block, typed
from tests.system.conftest import running
from tests.system.machine import Machine
from tests.system.reader import Reader
from tests.system.site import CONFIG, Site

BACKUP = "/var/backups/airoxy.db"


def test_another_machine_takes_over_and_a_drill_uses_nothing_up(
    site: Site, boot: Callable[..., Machine], furnished: tuple[tuple[Path, ...], str]
) -> None:
    here, there = site.machine, Site(running(boot(*furnished[0])), site.key)
    login = "sk-ant-oat-test-one sk-ant-ort-test-one"
    here.run(f"airoxy token add {login} --name login --no-check")
    here.run("airoxy token rotate-key")  # both are copies of one machine, and had the same key
    here.put(
        "/etc/airoxy/airoxy.yaml", CONFIG + block("docs/operators-guide.md", "yaml", "keep: 7")
    )
    [digits] = re.findall(r"\b[0-9a-f]{64}\b", Reader(here).follow("operators-guide", "backup"))
    assert "airoxy-20" in here.run("ls /var/backups/airoxy")  # the nightly one
    backup = here.run(f"base64 --wrap=0 {BACKUP}")

    there.machine.run(f"base64 --decode > {BACKUP}", stdin=backup)
    # Without the key first, which is what people forget: it serves, and says what is missing.
    told = there.machine.run(f"airoxy restore {BACKUP}")
    assert "encrypted with a key that is not here" in told
    assert there.machine.run("systemctl is-active airoxy").strip() == "active"
    assert "client" in there.machine.run("airoxy api-key list")

    package = {"./airoxy_VERSION_all.deb": "/root/airoxy.deb", "FILE": BACKUP}
    reader = Reader(there.machine, package)
    steps = [step for step in typed("operators-guide", "restore") if "--drill" not in step]
    assert "The tokens are encrypted" in "".join(reader.type(step, digits) for step in steps)
    reader.follow("runbooks", "the-machine-is-lost")
    assert tokens(there) == {"one": True, "login": True}
    assert there.ask() == 200

    told = reader.follow("runbooks", "a-restore-drill")
    assert "This is a drill: 1 OAuth tokens are disabled" in told
    assert "not here" not in told
    assert tokens(there) == {"one": True, "login": False}
    enabled = there.machine.run("systemctl is-enabled airoxy-refresh-tokens.timer", check=False)
    assert enabled.strip() == "disabled"
    assert there.machine.run("find /var/lib/airoxy -not -user airoxy") == ""
    assert there.ask() == 200
    # What the drill was done with is still good where it is used.
    assert site.ask() == 200


def tokens(site: Site) -> dict[str, bool]:
    """Which of them are active; all must be readable."""
    rows = json.loads(site.machine.run("airoxy token list --json"))
    assert all(row["is_readable"] for row in rows)
    return {row["name"]: row["is_active"] for row in rows}
