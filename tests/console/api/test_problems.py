"""Errors of the API are problem documents (RFC 9457), whoever finds them: the framework too."""

from __future__ import annotations

import pytest

from tests.console.running import through

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/api/nowhere", None, {}, 404),
        ("GET", "/api/", None, {}, 404),
        ("GET", "/api/keys/nobody", None, {}, 404),
        ("PUT", "/api/keys", b"{}", JSON, 405),
        ("DELETE", "/api/stats", None, {}, 405),
        ("POST", "/api/keys", b"{", JSON, 400),
        ("POST", "/api/keys", b"{}", {"content-type": "text/plain"}, 415),
        ("POST", "/api/keys", b"name=x", FORM, 415),
        ("POST", "/api/keys", b"{", JSON | {"content-length": "600000"}, 413),
        ("GET", "/api/keys?limit=x", None, {}, 400),
        ("GET", "/api/keys", None, {"authorization": "Bearer aa-wrong"}, 401),
        ("GET", "/api/keys", None, {"host": "evil.example"}, 421),
        ("PATCH", "/api/groups/all", b"{}", JSON, 428),
        ("PATCH", "/api/groups/all", b"{}", JSON | {"if-match": '"old"'}, 412),
        ("DELETE", "/api/groups/all", None, {}, 409),
    ],
)  # fmt: skip
def test_every_error_is_a_problem_document(program, method, path, body, headers, status):
    answer = program.console.ask(method, path, body, program.headers | headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["detail"].endswith((".", "!"))
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_what_is_no_http_is_refused_and_the_console_goes_on(program):
    for garbage, status in (
        (b"\x00\x01\r\n\r\n", b"400"), (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n", b"505"),
    ):  # fmt: skip
        assert through(program.console.socket, garbage).startswith(b"HTTP/1.1 " + status)
    assert program("GET", "/api/keys").status == 200
    assert "Traceback" not in program.console.told


def test_json_of_any_kind_is_read(program):
    headers = {"content-type": "application/merge-patch+json; charset=utf-8", "if-match": "*"}
    answer = program.console.ask(
        "PATCH", "/api/groups/all", b'{"note": "x"}', program.headers | headers
    )
    assert answer.status == 200
