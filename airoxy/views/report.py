"""A month's usage report as CSV and JSON, and the names of its lines."""

from __future__ import annotations

import csv
from dataclasses import asdict
from typing import Any, TextIO

from airoxy.core.report import Report
from airoxy.store.usage.daily import TOTALS
from airoxy.views.formats import cut
from airoxy.views.times import rfc3339

_COLUMNS = (
    "month",
    "api_key_id",
    "api_key_name",
    "model",
    *(name for name in TOTALS if name != "cost_nanousd"),
    "cost_usd",
)


def write_csv(report: Report, out: TextIO) -> None:
    """A line for each key and model, and none that has to be left out when they are summed."""
    lines = csv.writer(out)
    lines.writerow(_COLUMNS)
    for key in report.keys:
        for model in key["models"]:
            known = {**key, **model, "month": f"{report.month:%Y-%m}"}
            known["cost_usd"] = _exact(model["cost_nanousd"])
            lines.writerow([_cell(known[name]) for name in _COLUMNS])


def document(report: Report, now: float) -> dict[str, Any]:
    """The report as JSON has it; `now` is when it was made."""
    return asdict(report) | {"month": f"{report.month:%Y-%m}", "generated_at": rfc3339(now)}


def _exact(nanousd: int) -> str:
    return f"{nanousd // 10**9}.{nanousd % 10**9:09}"


def _cell(value: object) -> object:
    """A text that no spreadsheet takes for a formula: model names come from clients."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def key_name(key: dict[str, Any]) -> str:
    """The key's name, its id where it has none (any more), a dash where nobody knows the key."""
    number = key["api_key_id"]
    return cut(key["api_key_name"] or ("-" if number is None else f"key {number}"), 64)


def model_name(model: dict[str, Any]) -> str:
    """Marked where the cost is a guess."""
    return cut(model["model"] or "no model", 64) + ("" if model["priced"] else " *")
