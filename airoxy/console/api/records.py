"""Reports, prices, the audit trail and the configuration over the API."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Sequence
from typing import Any

import apsw

from airoxy.config import load_config
from airoxy.console.api.operation import Operation, fields_of, text_field
from airoxy.console.api.paging import PAGE_OF_NEWEST, following, limit, number
from airoxy.console.filters import moment, named
from airoxy.console.hosts.sight import WHICH_HOST, Sight, with_sums
from airoxy.console.visit import Download, JsonReply, Reply, Visit
from airoxy.core.report import Report
from airoxy.errors import ConfigError, InvalidInput
from airoxy.jobs.recost import recost
from airoxy.store.audit.trail import AuditEntry, read_trail
from airoxy.store.usage.costs import ModelUse, counted_models
from airoxy.views import changes, prices
from airoxy.views import config as config_view
from airoxy.views.json_documents import PRICE_TABLE, RECOST, document_of
from airoxy.views.report import lines
from airoxy.views.report.page import page

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


def month_report(visit: Visit) -> Reply:
    """As JSON, or to be saved as HTML or CSV."""
    form = visit.query.get("format") or "json"
    if form not in ("json", "html", "csv"):
        raise InvalidInput(f"format: {form[:20]!r} is none of json, html, csv.")
    made, sight = read_report(visit)
    # A file is read far from the page that has said whose usage it is.
    whose = re.sub(r"[^A-Za-z0-9._-]", "-", f"-{sight.of}") if sight.of else ""
    name = f"airoxy-{made.month:%Y-%m}{whose}"
    if form == "html":
        body = page(made, visit.now, visit.zone).encode()
        return Download(f"{name}.html", "text/html; charset=utf-8", body, warning=sight.trouble)
    if form == "csv":
        out = io.StringIO(newline="")
        lines.write_csv(made, out)
        body = out.getvalue().encode()
        return Download(f"{name}.csv", "text/csv; charset=utf-8", body, warning=sight.trouble)
    return JsonReply(lines.document(made, visit.now), warning=sight.trouble)


def read_report(visit: Visit) -> tuple[Report, Sight]:
    """That on the month of the query, and of which hosts it is. Raises InvalidInput."""
    month = chosen_month(visit)
    before = (month - datetime.timedelta(1)).replace(day=1)
    with with_sums(visit, before) as (seen, sight):
        past = seen.services.past
        return lines.read_report(visit.db, visit.config.pricing, month, visit.today, past), sight


def chosen_month(visit: Visit) -> datetime.date:
    """The first day of the month of the query, or of this one. Raises InvalidInput."""
    text = visit.query.get("month") or f"{visit.today:%Y-%m}"
    if not _MONTH.fullmatch(text) or not "1970" < text[:4] < "9999":
        raise InvalidInput("A month looks like 2026-11.")
    return datetime.date(int(text[:4]), int(text[5:]), 1)


def price_table(visit: Visit) -> JsonReply:
    return JsonReply(read_prices(visit))


def read_prices(visit: Visit) -> dict[str, Any]:
    """The price table, and the models without a price."""
    today = visit.today

    def counted(db: apsw.Connection, models: Sequence[str]) -> list[ModelUse]:
        past = visit.services.past.of(
            "models", today, lambda: counted_models(db, models, until=today)
        )
        return [*past, *counted_models(db, models, since=today)]

    return prices.document(visit.config, visit.db, counted)


def apply_prices(visit: Visit) -> JsonReply:
    """The costs of the detailed rows, by the prices in force."""
    given = fields_of(visit.body, _RECOST, ("since",))
    dry_run = given.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise InvalidInput("dry_run has to be true or false.")
    try:
        since = datetime.date.fromisoformat(text_field(given, "since"))
    except ValueError:
        raise InvalidInput("since: a day looks like 2026-11-22.") from None
    done = recost(visit.db, visit.config.pricing, since, dry_run=dry_run)
    return JsonReply(done.document(since, dry_run=dry_run))


def audit(visit: Visit) -> JsonReply:
    """The newest entries in the order in which they were made."""
    shown, more = read_audit(visit, limit(visit))
    return JsonReply(
        [changes.document(entry) for entry in shown],
        following=following(visit, before=shown[0].id) if more else None,
    )


def read_audit(visit: Visit, most: int) -> tuple[list[AuditEntry], bool]:
    """The newest entries that the query asks for, in the order in which they were made, and whether
    there are older ones. Raises InvalidInput, NotFound."""
    entries = read_trail(
        visit.db,
        since=moment(visit, "since"),
        until=moment(visit, "until"),
        subjects={
            name.removesuffix("_id"): found
            for name, found in named(visit).items()
            if found is not None
        },
        before_id=number(visit, "before"),
        limit=most + 1,
    )
    return entries[-most:], len(entries) > most


def show_config(visit: Visit) -> JsonReply:
    """The one that the console has been started with."""
    return JsonReply(config_view.document(visit.config))


def check_config(visit: Visit) -> JsonReply:
    """The file as it is now."""
    mistakes: list[str] = []
    path = visit.config.source
    if path is not None:
        try:
            _ = load_config(path, {}).pricing
        except ConfigError as error:
            mistakes = error.message.splitlines()
    return JsonReply({"file": None if path is None else str(path), "mistakes": mistakes})


_RECOST = {
    "since": "from this day on, in UTC (2026-11-22)",
    "dry_run": "true to be told only what would change",
}
_PERIOD = {"since": "from then on (30d, 2026-11-22, 2026-11-22T17:30)", "until": "before then"}
_SUBJECTS = {
    "key": "about this client key (id or name)",
    "group": "about this group (id or name)",
    "token": "about this upstream token (id or name)",
}
OPERATIONS = (
    Operation("GET", "/api/report", month_report, "A month's usage by key and model",
              query={"month": "2026-11 (this one)", "format": "json, html or csv", **WHICH_HOST},
              other_types=("text/html", "text/csv")),
    Operation("GET", "/api/prices", price_table, "The prices in force, and models without one",
              PRICE_TABLE),
    Operation("POST", "/api/prices/recost", apply_prices,
              "Compute the costs in the detailed usage log again", RECOST, body=_RECOST,
              required=("since",)),
    Operation("GET", "/api/audit", audit, "Who has changed what", document_of("audit"),
              is_list=True, query={**_PERIOD, **_SUBJECTS, **PAGE_OF_NEWEST}),
    Operation("GET", "/api/config", show_config, "The configuration in force", for_admins=True),
    Operation("GET", "/api/config/check", check_config,
              "The mistakes in the configuration's file", for_admins=True),
)  # fmt: skip
