"""Claude Code warns of a client key's limit of money as it does of a subscription's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airoxy.core.limits.table import LIMITS
from airoxy.store import keys
from airoxy.store.limits import set_limits
from tests.clients.programs import CLAUDE, Home
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

pytestmark = pytest.mark.clients


@pytest.mark.parametrize(
    ("name", "kind"), [("spend_per_day", "five_hour"), ("spend_per_month", "seven_day")]
)
def test_claude_code_reads_how_much_of_the_limit_is_spent(
    airoxy: Airoxy, upstream: FakeAnthropic, tmp_path: Path, name: str, kind: str
) -> None:
    airoxy.token("sk-ant-oat-test-one", "sk-ant-ort-test-one")
    secret = airoxy.key("laptop")
    (column,) = (limit.column for limit in LIMITS if limit.name == name)

    def spends(share: float) -> list[dict]:
        """What it says of limits when that share of one is spent."""
        with airoxy.opened() as db:
            spent = sum(row["cost_nanousd"] for row in airoxy.json("logs"))
            (key,) = keys.list_keys(db)
            set_limits(db, key["id"], {column: max(int(spent / share), 1)})
        home = Home(tmp_path / "home", airoxy.url, {"CLAUDE_CODE_OAUTH_TOKEN": secret})
        command = (CLAUDE, "-p", "Hello", "--output-format", "stream-json", "--verbose")
        count = len(airoxy.json("logs"))
        events = [json.loads(line) for line in home.run(*command).splitlines()]
        airoxy.wait_logs(count + 1)
        return [e["rate_limit_info"] for e in events if e["type"] == "rate_limit_event"]

    upstream.set_usage(input_tokens=1_000_000, output_tokens=10)
    assert airoxy.request("POST", "/v1/messages", {
        "model": "claude-opus-5-5", "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hello"}],
    }, key=secret).status == 200  # fmt: skip
    upstream.set_usage()
    airoxy.wait_logs(1)
    assert {event["status"] for event in spends(0.5)} <= {"allowed"}
    for share, threshold in ((0.8, 0.75), (0.96, 0.95)):
        event = spends(share)[-1]
        assert (event["status"], event["rateLimitType"]) == ("allowed_warning", kind)
        assert event["utilization"] == pytest.approx(share, abs=0.001)
        assert event["surpassedThreshold"] == threshold
