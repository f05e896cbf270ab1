"""A stranger's programs read the OpenAPI document and send whatever it allows, and what it does
not: nothing is a fault of ours, and nothing is answered that is not described."""

from __future__ import annotations

import pytest

from airoxy.console.api import OPERATIONS
from airoxy.console.api.openapi import openapi
from tests.console.running import Program, log_row

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

#: Of /api/live the answer has no end.
SCHEMA = schemathesis.openapi.from_dict(openapi(OPERATIONS)).exclude(path="/api/live")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def program(make_console):
    """Of a console whose Anthropic is not there, with something of everything."""
    from airoxy.store.usage.requests import append

    console = make_console(upstream={"url": "http://127.0.0.1:9"}).start()
    program = Program(console, console.program("stranger"))
    program.key("0")
    program.token("0")
    program("POST", "/api/groups", {"name": "0"})
    console.user("0")
    with console.opened() as db:
        append(db, [log_row()])
    return program


@SCHEMA.parametrize()
@settings(
    max_examples=8, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_nothing_is_answered_that_is_not_described(program, case):
    answer = case.call(base_url=program.console.origin, headers=program.headers)
    case.validate_response(answer, checks=CHECKS)
