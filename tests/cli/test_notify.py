"""`airoxy notify test`, `airoxy job notify` and what doctor says of them."""

from __future__ import annotations

import json

from airoxy.store.limits import set_limits
from airoxy.store.schema import open_database
from airoxy.views.json_documents import document_of
from tests.cli.printed import unlike
from tests.store.seed import append, row


def test_a_test_warning_is_sent_by_every_way_and_failures_are_told(install, tmp_path):
    out = tmp_path / "out"
    airoxy = install(notify={"command": f"tee {out}"})
    assert airoxy.cli("notify", "test").endswith("command: sent\n")
    (sent,) = airoxy.json("notify", "test")
    assert unlike(document_of("notify test"), sent) == set()
    assert json.loads(out.read_text())["event"] == "test"
    airoxy.write_config(notify={"command": "false", "webhook": "http://127.0.0.1:9/secret-path"})
    told = airoxy.cli("notify", "test", status=1)
    assert "command: false ended with status 1" in told
    assert "webhook: the webhook cannot be reached" in told
    assert "secret-path" not in told + airoxy.cli("config", "show")
    airoxy.write_config(notify={})
    done = airoxy.run("notify", "test")
    assert (done.returncode, "No way to warn you is configured" in done.stderr) == (2, True)


def test_the_job_sends_what_is_news_once(install, tmp_path):
    out = tmp_path / "out"
    airoxy = install(notify={"command": f"tee -a {out}"})
    airoxy.key("laptop")
    db = open_database(airoxy.database)
    set_limits(db, 1, {"spend_total_nanousd": 1})
    append(db, row())
    db.close()
    for _ in range(2):
        airoxy.cli("job", "notify")
    (line,) = out.read_text().splitlines()
    document = json.loads(line)
    assert set(document) == {"event", "subject", "text", "at", "host"}
    assert document["event"] == "limit_reached"
    airoxy.write_config(notify={})
    assert airoxy.cli("job", "notify") == ""
