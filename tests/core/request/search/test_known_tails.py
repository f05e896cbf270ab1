"""What is remembered of the ends of bodies changes nothing but the time that it takes."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Members, NotJson, run
from airoxy.core.request.search import known_tails
from tests.core.request import json_texts as texts

TOOLS = json.dumps([{"name": f"tool{number}", "a": {"b": ["}]"]}} for number in range(200)])
BODY = b'{"messages":["%b"],"system":[{"text":"a"}],"tools":' + TOOLS.encode() + b',"stream":true}'
#: So many that the end is nearer than the front.
SAID = b"x" * len(TOOLS)


@pytest.fixture(autouse=True)
def no_tails():
    with mock.patch.object(known_tails, "_places", type(known_tails._places)()):
        yield


def found(body, name):
    try:
        return run(Members(body).find(name))
    except NotJson:
        return NotJson


def steps_to_find(body, name):
    return sum(Members(body).find(name))


@settings(texts.some, max_examples=25)
@given(
    st.tuples(texts.document(texts.plain_key), st.binary(max_size=2)),
    st.sampled_from(texts.NAMES),
)
@example((b'{"text":1,"system":[]}', b',"a":{"text":1,"system":[]}}'), "text")
@example((b'{"text":1}', b",}"), "text")
def test_a_member_is_found_where_it_would_be_without(document, name):
    body, garbage = document
    with mock.patch.object(known_tails, "_places", type(known_tails._places)()):
        for each in (body, body, b'{"text":1,' + body[1:], body + garbage, body[:-1] + garbage):
            with mock.patch.object(known_tails, "_SHORTEST", 1 << 30):
                expected = found(each, name.encode())
            with mock.patch.object(known_tails, "_SHORTEST", 0):
                assert found(each, name.encode()) == expected


def test_the_tools_of_a_conversation_are_gone_through_once():
    first = steps_to_find(BODY % SAID, b"system")
    again = steps_to_find(BODY % (SAID + b" and more"), b"system")
    assert again < first / 3


def test_an_end_that_differs_in_one_letter_is_another():
    run(Members(BODY % SAID).find(b"system"))
    broken = (BODY % SAID).replace(b'["}]"]', b'["}"]]', 1)
    assert found(broken, b"system") is NotJson


def test_no_text_is_kept_and_no_more_than_a_number_of_ends():
    for number in range(known_tails._MOST + 10):
        run(Members((BODY % SAID).replace(b"tool0", b"tool%d" % number)).find(b"system"))
    assert len(known_tails._places) == known_tails._MOST
    for tail, place in known_tails._places.items():
        assert all(type(each) is int for each in (*tail, *place))


def test_not_each_place_that_may_be_the_key_is_hashed():
    body = b'{"messages":[' + b'{"system":[1]},' * 3000 + b'1],"a":"' + b"x" * 5000 + b'"}'
    with mock.patch.object(json_scan, "tail_of", side_effect=known_tails.tail_of) as tail_of:
        assert found(body, b"system") is None
    assert tail_of.call_count <= json_scan._MOST_HASHES
