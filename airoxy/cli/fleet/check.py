"""A check of the fleet that this host is one of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.doctor.pool import ask
from airoxy.cli.fleet.texts import amount, lag_text
from airoxy.cli.installation import Installation
from airoxy.errors import AiroxyError
from airoxy.views.times import past

if TYPE_CHECKING:
    import apsw

#: So long the agent may be silent (seconds); it says every few that it meets the fleet.
_SILENT = 60.0
#: So long another host may be (seconds) before somebody should know what it keeps.
_GONE = 3600.0
#: Limits of which it is told who has what.
_MOST = 3


def fleet(installation: Installation) -> Iterator[Finding]:
    """The agent meets the fleet, and the fleet has what this host has."""
    from airoxy.store.fleet.membership import lag

    now = installation.context.now()
    found = ask(installation, lambda db: lag(db, now))
    if not isinstance(found, dict):
        return
    who = f"This host is {lag_text(found)}"
    silent = found["seconds_since_contact"]
    if "--anew" in found.get("trouble", ""):
        yield Finding(FAIL, who)
    elif "trouble" in found:
        yield Finding(WARN, who, "airoxy fleet status")
    elif silent is None or silent > _SILENT:
        yield Finding(WARN, f"{who}.", "sudo systemctl enable --now airoxy-fleet")
    else:
        yield Finding(OK, f"{who}.")
    if "trouble" not in found:
        yield from _shares(installation, now)


def _shares(installation: Installation, now: float) -> Iterator[Finding]:
    """Who has what of the limits, and who of them is gone."""
    told = ask(installation, lambda db: _divided(installation, db))
    if not isinstance(told, tuple):
        return
    hosts, shares = told
    for host in hosts:
        if host["ago"] > _GONE:
            kept = [each for each in shares if each["host"] == host["name"] and each["share"]]
            what = f", and keeps its shares of {len(kept)} limits" if kept else ""
            yield Finding(
                WARN,
                f"{host['name']} was last there {past(now - host['ago'], now)}{what}.",
                f"If it is gone for good: sudo airoxy fleet forget {host['name']}",
            )
    if shares:
        yield Finding(OK, f"Who may use what of the limits: {_listed(shares)}.")


def _divided(
    installation: Installation, db: apsw.Connection
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]] | None:
    """The hosts and their shares; None where PostgreSQL cannot be reached, which is told above."""
    from airoxy.fleet.agent import connector
    from airoxy.fleet.overview.hosts import hosts, shares, whose
    from airoxy.store.fleet.membership import membership

    if (member := membership(db)) is None:
        return None
    credentials = installation.context.environ.get("CREDENTIALS_DIRECTORY")
    connect = connector(installation.database, credentials, installation.config.fleet.database)
    try:
        with closing(connect(member)) as postgres:
            found = hosts(postgres), shares(postgres)
    except AiroxyError:
        return None
    for each, of in zip(found[1], whose(db, found[1]), strict=True):
        each["of"] = of
    return found


def _listed(shares: list[dict[str, Any]]) -> str:
    """Of the limits of which most is used first."""
    limits: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in shares:
        limits.setdefault((each["of"], each["limit"]), []).append(each)
    ordered = sorted(limits.items(), key=lambda each: -_used(each[1]))
    told = [
        f"{of} {limit.partition('_nanousd')[0]} "
        + ", ".join(f"{each['host']} {amount(limit, each['share'])}" for each in parts)
        for (of, limit), parts in ordered[:_MOST]
    ]
    more = len(ordered) - len(told)
    return "; ".join(told) + (f"; and {more} more (airoxy fleet status)" if more else "")


def _used(parts: list[Mapping[str, Any]]) -> float:
    """The part of what there is that is used."""
    return float(sum(each["used"] for each in parts) / (sum(each["share"] for each in parts) or 1))
