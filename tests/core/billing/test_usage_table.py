"""A usage field is one line of the table, and one that makes its columns."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from airoxy.core.billing.usage import COUNTED, USAGE, Usage
from tests.program import ROOT

FIELD = """\
    image_tokens: int = _counted(
        "output_tokens_details.image_tokens", "output", "Image tokens",
        heading="IMAGES", metric="image",
    )
    batch: bool = False
"""

#: Everything that is made from the table, for an answer that has the new field.
USE = """
import io, json, sys
from datetime import timezone
from pathlib import Path
from types import SimpleNamespace
from airoxy.cli.stats.log_table import LogTable
from airoxy.cli.stats.tables import HEADS, cells
from airoxy.config import shipped_prices
from airoxy.jobs.recost import recost
from airoxy.calendar import day_of
from airoxy.server.metrics import exposition
from airoxy.server.metrics.counters import REGION, MetricCounters
from airoxy.server.metrics.load import Load
from airoxy.server.metrics.readings import Readings, Stored
from airoxy.server.proxy.request_log import RequestLog
from airoxy.server.shared_memory import SharedMemory
from airoxy.store.schema import open_database, run
from airoxy.store.usage import daily, requests

log = RequestLog(1, "/v1/messages", 1795348800.0)
usage = {"input_tokens": 1000, "output_tokens_details": {"image_tokens": 100}}
answer = {"type": "message", "model": "claude-opus-5-5", "usage": usage}
log.answered(200, {b"content-type": b"application/json"})(json.dumps(answer).encode())
row = log.row(shipped_prices())
db = open_database(Path(sys.argv[1]))
requests.append(db, [row])
counters = MetricCounters(SharedMemory.of(REGION))
counters.count([row])
readings = Readings(counters.read(), 0, 0, Load(0, 0, 0), frozenset(), Stored())
(logged,) = requests.newest(db, limit=1)
totals = daily.totals(db)
said = io.StringIO()
context = SimpleNamespace(say=said.write, out=said, environ={}, zone=timezone.utc)
LogTable(context, wide=True, is_coloured=False).show([logged])
recost(db, shipped_prices(), day_of(log.now))
print(json.dumps({
    "view": run(db, "SELECT image_tokens FROM request_log"),
    "logged": logged, "totals": totals, "again": daily.totals(db), "logs": said.getvalue(),
    "table": dict(zip(HEADS, cells(totals))),
    "metrics": exposition.render(readings, "")[0].decode(),
}))
"""


def test_the_table_has_every_count_in_the_order_of_usage() -> None:
    counts = [each.name for each in fields(Usage) if each.type == "int" and each.name != "requests"]
    assert list(COUNTED) == counts == [each.name for each in USAGE]


def test_a_field_added_to_the_table_is_everywhere(tmp_path: Path) -> None:
    """Found in answers, priced, stored, summed, shown and measured by two lines in two files."""
    shutil.copytree(ROOT / "airoxy", tmp_path / "airoxy")
    (tmp_path / "etc").symlink_to(ROOT / "etc")
    table = tmp_path / "airoxy" / "core" / "billing" / "usage.py"
    text = table.read_text()
    table.write_text(text.replace("    batch: bool = False\n", FIELD))
    steps = tmp_path / "airoxy" / "store" / "migrations.py"
    end = "\n)\n#: In a database of an earlier version"
    assert end in steps.read_text()
    steps.write_text(steps.read_text().replace(end, f'\n    usage_column("image_tokens"),{end}'))
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path / "airoxy.db")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["view"] == [[100]]
    assert made["logged"]["image_tokens"] == 100
    assert made["totals"] == made["again"]
    assert made["totals"]["image_tokens"] == 100
    assert made["totals"]["cost_nanousd"] == 1000 * 4_000 + 100 * 20_000
    assert made["table"]["IMAGES"] == "100"
    assert "  100" in made["logs"]
    assert re.search(r'kind="image".* 100\.0', made["metrics"])
