import json
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.request import json_scan
from airoxy.core.request.body import (
    LARGE,
    Asked,
    read_request_steps,
)
from airoxy.core.request.json_scan import Members, NotJson, run
from airoxy.core.request.system_line import splice, splice_steps
from tests.core.request.json_texts import some

LINE = "You are a test."


def finished(steps):
    """How often there was a pause, and the result."""
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return pauses, stop.value
        pauses += 1


CONTENTS = {
    "one string": b'"' + b"QUJD" * 500_000 + b'"',
    "strings": b"[" + b'"",' * 500_000 + b"1]",
    "objects": b"[" + b"{}," * 500_000 + b"1]",
    "brackets": b"[" * 500_000 + b"]" * 500_000,
    "escapes": b'"' + b'\\"\\\\' * 500_000 + b'"',
    "keys": b"1" + b',"a":2' * 50_000,
    "keys with escapes": b"1" + b',"\\u0061":2' * 20_000,
    "lists": b"1" + b',"a":["",[]]' * 5_000,
    "blanks": b"1" + (b" " * 4000 + b',"a"' + b" " * 4000 + b":1") * 100,
    "models": b"[" + b'{"model":1},' * 100_000 + b"1]",
    "nested models": b'{"model":' * 100_000 + b"1" + b"}" * 100_000,
    "names in text": b'"' + b'\\"model\\": ' * 200_000 + b'"',
    "files": b"[" + b'{"file_id":"file_1"},' * 100_000 + b"1]",
}


@pytest.mark.parametrize("content", CONTENTS)
def test_whatever_is_in_a_large_body_others_have_their_turn(content):
    # With such keys about, nothing but going through all of the body is exact.
    body = b'{"a":' + CONTENTS[content] + b',"mode\\u006c":"m","\\u0073ystem":""}'
    assert len(body) > LARGE
    pauses, asked = finished(read_request_steps(body))
    assert (asked.model, asked.stream) == ("m", False)
    assert pauses >= len(body) // 200_000
    pauses, spliced = finished(splice_steps(body, (LINE,)))
    assert spliced[:-4].endswith(b'"\\u0073ystem":[{"type":"text","text":"You are a test.')
    assert pauses >= len(body) // 200_000


def test_a_small_body_needs_no_pause():
    assert finished(read_request_steps(b'{"model":"m"}')) == (0, Asked("m", False, ()))
    assert finished(splice_steps(b"[]", (LINE,))) == (0, b"[]")


@some
@given(st.integers(0, 120), st.integers(0, 60))
def test_it_does_not_matter_where_pieces_end(length, backslashes):
    said = b"x" * length + b"\\\\" * backslashes + b'\\"'
    body = b'{"a":["%b",{"b":"%b]"}],"c":"%b","model":"m"}' % (said, said, said)
    for sizes in ({"_PIECE": 64}, {"_SMALLEST": 2, "_PIECE": 3}, {"_SMALLEST": 7, "_PIECE": 31}):
        with mock.patch.multiple(json_scan, **sizes):
            found = run(Members(body).walk(b"model"))
        assert found is not None
        assert body[found.start : found.end] == b'"m"'
        assert found.next == len(body) - 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"a" "b":1}',
        b'{"a":1,}',
        b'{"a":1,,"b":1}',
        b'{"a":}',
        b'{"a"}',
        b'{a:1,"b":1}',
        b'{"a":1 "b":1}',
        b'{"a":[1,"b":1}',
        b'{"a":"b}',
        b'{"a":1}}',
        b'{"a":1}{"b":1}',
        b'{"a":"\\"}',
        b'{"a":[}',
    ],
)
def test_going_through_all_members_notices_what_is_not_json(body):
    with pytest.raises(NotJson):
        run(Members(body).walk(b"b"))


@pytest.mark.parametrize("body", [b"", b"[]", b'"{}"', b"{", b"{]", b"{}x", b"x{}", b"{1}", b"{}{"])
def test_what_does_not_look_like_an_object_is_none(body):
    with pytest.raises(NotJson):
        Members(body)


@pytest.mark.parametrize("name", [b"model", b"stream", b"system", b"text"])
def test_the_last_of_several_keys_counts_however_it_is_spelled(name):
    other = b"\\u%04x" % name[0] + name[1:]
    for body in (b'{"%b":1,"%b":2}' % (other, name), b'{"%b":1,"%b":2}' % (name, other)):
        found = run(Members(body).walk(name))
        assert found is not None
        assert body[found.start : found.end] == b"2"
        assert run(Members(body).has_escapes())
    assert run(Members(b'{"%b":2}' % name.upper()).walk(name)) is None
    assert not run(Members(b'{"a":"\\u00e9"}').has_escapes())


def test_a_tools_own_object_may_have_keys_beyond_all_bounds():
    inner = b'{"model":1,"%b":2,"n":%b}' % (b"k" * 2000, b"9" * 4200)
    body = b'{"model":"m","messages":[%b,%b],"stream":true}' % (inner, inner)
    assert finished(read_request_steps(body)) == (0, Asked("m", True, ()))
    assert json.loads(splice(body, (LINE,)))["system"] == [{"type": "text", "text": LINE}]
