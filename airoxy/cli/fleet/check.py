"""A check of the fleet that this host is one of."""

from __future__ import annotations

from collections.abc import Iterator

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.doctor.pool import ask
from airoxy.cli.installation import Installation
from airoxy.views.times import span

#: So long the agent may be silent (seconds); it says every few that it meets the fleet.
_SILENT = 60.0


def fleet(installation: Installation) -> Iterator[Finding]:
    """The agent meets the fleet, and the fleet has what this host has."""
    from airoxy.store.fleet.membership import lag

    now = installation.context.now()
    found = ask(installation, lambda db: lag(db, now))
    if not isinstance(found, dict):
        return
    who, waits = f"This host is {found['host']} of a fleet", f"{found['rows_waiting']:,} rows wait"
    silent = found["seconds_since_contact"]
    if "--anew" in found.get("trouble", ""):
        yield Finding(FAIL, f"{who}, but {found['trouble']}")
    elif "trouble" in found:
        yield Finding(WARN, f"{who}. {found['trouble']} {waits}.", "airoxy fleet status")
    elif silent is None or silent > _SILENT:
        ago = "never" if silent is None else f"{span(silent)} ago"
        remedy = "sudo systemctl enable --now airoxy-fleet"
        yield Finding(WARN, f"{who}; its agent has met the others {ago}. {waits}.", remedy)
    else:
        yield Finding(OK, f"{who} with {found['hosts']} hosts; {waits}.")
