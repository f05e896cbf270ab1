"""Upstream tokens over the API, beside what is in test_api."""

from __future__ import annotations

from tests.console.running import Program


def test_a_token_is_toggled(program):
    program.token("toggled")
    active = [program("POST", "/api/tokens/toggled/toggle").json()["is_active"] for _ in "ab"]
    assert active == [False, True]


def test_an_api_key_is_not_renewed(program):
    program.token("lasting")
    answer = program("POST", "/api/tokens/lasting/refresh")
    assert (answer.status, answer.json()["detail"]) == (409, "An API key does not expire.")


def test_a_key_gets_the_limits_of_the_configuration(make_console):
    console = make_console(defaults={"limits": {"spend_per_day": 3}}).start()
    program = Program(console, console.program("program"))
    program.key("limited")
    program.key("free", spend_per_day_nanousd=None)
    spend = {
        key["name"]: key["spend_per_day_nanousd"] for key in program("GET", "/api/keys").json()
    }
    assert spend == {"limited": 3 * 10**9, "free": None}
    page = console.browser("maker").get("/keys").text
    assert 'name="spend_per_day" value="3.00"' in page
    finished = program("POST", "/api/keys/free/rotate", {"finish": True}).json()
    assert (finished["key"], finished["old_secrets"]) == (None, [])
