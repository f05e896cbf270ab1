"""What is only looked at: prices, the audit trail and the service's health."""

from __future__ import annotations

from urllib.parse import urlencode

from airoxy.console.api.records import read_audit, read_prices
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.errors import AiroxyError
from airoxy.store.audit.trail import AuditEntry
from airoxy.store.fleet.hosts import fleet_hosts
from airoxy.store.fleet.membership import lag
from airoxy.views import changes

_ENTRIES = 200
#: Whose changes may be asked for.
_SUBJECTS = ("key", "group", "token")


def show_prices(visit: Visit) -> Reply:
    """The price table, and what has no price in it."""
    return Rendered("prices.html", {"prices": read_prices(visit)})


def show_audit(visit: Visit) -> Reply:
    """Who has changed what, the newest first, a page of it."""
    typed = {name: visit.query.get(name, "").strip() for name in _SUBJECTS}
    given = {name: text for name, text in typed.items() if text}
    trouble, more = "", False
    found: list[AuditEntry] = []
    try:
        found, more = read_audit(visit, _ENTRIES)
    except AiroxyError as error:
        trouble = error.message
    entries = [
        {
            "at": entry.at / 1000,
            "by": changes.by(entry),
            "what": f"{entry.kind} {entry.subject}",
            "name": changes.visible(entry.name),
            "action": entry.action,
            "words": changes.in_words(entry.action, entry.before, entry.after),
        }
        for entry in reversed(found)
    ]
    values = {
        "entries": entries,
        "typed": typed,
        "given": given,
        "trouble": trouble,
        "older": urlencode({**given, "before": found[0].id}) if more else "",
        "newest": urlencode(given) if visit.query.get("before") else None,
        "days": visit.config.audit_retention_days,
    }
    return Rendered("audit.html", values, 400 if trouble else 200)


def show_health(visit: Visit) -> Reply:
    """What the service says of itself, and what doctor finds."""
    services = visit.services
    status, document = services.ask_health()
    checkup = services.checkup.look(services.examine, services.clock)
    service = {name: value for name, value in document.items() if name != "fleet"}
    fleet = {"fleet": lag(visit.db, visit.now), "hosts": fleet_hosts(visit.db)}
    values = {"status": status, "health": service, "checkup": checkup} | fleet
    return Rendered("health.html", values)


ROUTES = (
    page("/prices", show_prices),
    page("/audit", show_audit),
    page("/health", show_health),
)
