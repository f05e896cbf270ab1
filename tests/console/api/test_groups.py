"""Groups of client keys over the API."""

from __future__ import annotations


def test_a_group_is_made_shown_changed_and_removed(program):
    made = program("POST", "/api/groups", {"name": "team", "spend_per_month_nanousd": "500"})
    assert made.status == 201
    number = made.json()["id"]
    assert made.headers["location"] == f"/api/groups/{number}"
    program.key("member", group="team")
    shown = program("GET", "/api/groups/team")
    assert shown.json()["spend_per_month_nanousd"] == 500 * 10**9
    assert shown.json()["api_keys"] == ["member"]
    changed = program(
        "PATCH", f"/api/groups/{number}", {"name": "crew", "spend_per_month_nanousd": None},
        if_match=shown.headers["etag"],
    ).json()  # fmt: skip
    assert (changed["name"], changed["spend_per_month_nanousd"]) == ("crew", None)
    removed = program("DELETE", "/api/groups/crew")
    assert removed.json() == {"id": number, "name": "crew", "removed": True}
    assert program("GET", "/api/groups/crew").status == 404
    assert program("GET", "/api/keys/member").json()["group_id"] is None


def test_two_who_change_a_group_do_not_overwrite_each_other(program):
    program("POST", "/api/groups", {"name": "both"})
    etag = program("GET", "/api/groups/both").headers["etag"]
    assert program("PATCH", "/api/groups/both", {"note": "one"}, if_match=etag).status == 200
    assert program("PATCH", "/api/groups/both", {"note": "two"}, if_match=etag).status == 412
    assert program("DELETE", "/api/groups/both", if_match=etag).status == 412
    assert program("PATCH", "/api/groups/both", {"note": "two"}).status == 428


def test_the_group_of_all_keys_has_limits_and_stays(program):
    changed = program("PATCH", "/api/groups/all", {"spend_per_day_nanousd": 7}, if_match="*")
    assert changed.json()["spend_per_day_nanousd"] == 7
    assert program("DELETE", "/api/groups/all").status == 409
    assert program("PATCH", "/api/groups/all", {"name": "x"}, if_match="*").status == 409
    assert program("POST", "/api/keys", {"name": "in all", "group": "all"}).status == 400


def test_what_is_no_group_is_a_problem(program):
    for body in ({}, {"name": "all"}, {"name": None}, {"name": "x", "models": 5}, {"nam": "x"}):
        assert program("POST", "/api/groups", body).status == 400, body
