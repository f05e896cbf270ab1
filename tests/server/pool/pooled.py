"""Requests to an airoxy that has a pool of tokens, and how these stand afterwards."""

from __future__ import annotations

from tests.program import Airoxy, Answer

ONE, TWO, THREE = (f"sk-ant-api-test-{n}" for n in ("one", "two", "three"))
OAUTH, OAUTH_REFRESH = "sk-ant-oat-test-pair", "sk-ant-ort-test-pair"


def ask(airoxy: Airoxy, key: str, *, stream: bool = False, **changes: object) -> Answer:
    headers = changes.pop("headers", None)
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 10,
        "stream": stream,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    return airoxy.request("POST", "/v1/messages", body | changes, headers, key=key)


def listed(airoxy: Airoxy) -> dict[str, dict]:
    return {row["name"]: row for row in airoxy.json("token", "list")}
