import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core import estimate as module
from airoxy.core.estimate import ADVISOR_TOKENS, ADVISOR_USES, Call, Estimate, read_estimate
from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import MOST_MEMBERS, TooManyMembers
from airoxy.core.request.search.model_scan import ANY

LONG = "x" * 20_000
OWN, OTHER = "claude-haiku-4-5", "claude-fable-5-2"


def estimate(body: bytes) -> Estimate:
    return json_scan.run(read_estimate(body))


def asked(**fields) -> Estimate:
    return estimate(json.dumps({"model": OWN, **fields}).encode())


@pytest.mark.parametrize(
    ("fields", "output", "fast"),
    [
        ({"max_tokens": 4096}, 4096, False),
        ({"max_completion_tokens": 4096}, 4096, False),
        ({"max_tokens": 4096.0, "speed": "fast"}, 4096, True),
        ({"speed": "standard"}, 0, False),
        ({"max_tokens": None, "speed": None}, 0, False),
        ({"max_tokens": True}, 0, False),
        ({"max_tokens": -5, "speed": ["fast"]}, 0, False),
        ({"max_tokens": "many"}, 0, False),
        ({"max_tokens": 10**30}, 10**7, False),
        ({"tools": [{"max_tokens": 7, "speed": "fast"}]}, 0, False),
        ({"messages": LONG, "max_tokens": 1}, 1, False),
        ({"max_tokens": 1, "messages": LONG}, 1, False),
    ],
)
def test_what_is_asked_for_is_held(fields, output, fast):
    body = json.dumps(fields).encode()
    assert estimate(body) == Estimate((Call(None, (len(body) + 1) // 2, output),), (), fast)


def test_of_two_numbers_the_larger_is_held():
    assert estimate(b'{"max_tokens":1,"max_t\\u006fkens":9,"max_tokens":2}').calls[0][2] == 9


@pytest.mark.parametrize("body", [b"", b"x", b'{"max_tokens":', b"[1]", b'{"max_tokens":1e999}'])
def test_what_is_no_request_asks_for_its_size(body):
    (call,) = estimate(body).calls
    assert call.input_tokens == (len(body) + 1) // 2
    assert call.output_tokens in (0, 10**7)


@given(st.binary(max_size=200))
def test_nothing_that_is_sent_fails(body):
    assert estimate(b"{" + body + b"}").tokens > 0
    assert estimate(b'{"tools":[' + body + b"]}").tokens > 0


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"model":"a"}', ("a",)),
        (b'{"model":"a","model":"b"}', ("a", "b")),
        (b'{"model":"a","mod\\u0065l":"b"}', ("a", "b")),
        (b'{"model":["a"],"x":{"model":"b"}}', (None, "b")),
        (b'{"model":{"id":"a","speed":"fast"}}', ("a",)),
        (b'{"messages":[{"model":"b"}],"metadata":{"model":"b"}}', ()),
        (b'{"model":"a"', ()),
        (b"model", ()),
    ],
)
def test_every_model_that_could_be_meant_is_found(body, found):
    assert estimate(body).models == found


ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": OTHER}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"tools": [ADVISOR]}, (OTHER,)),
        (
            {"tools": [{"type": "advisor_20990101", "settings": {"deep": [{"model": OTHER}]}}]},
            (OTHER,),
        ),
        ({"tools": [{"type": "advisor_20990101"}]}, (None,)),
        ({"tools": [{"type": "advisor_20990101", "model": 7}]}, (None,)),
        (
            {
                "tools": [
                    {"name": "x", "input_schema": {"properties": {"model": {"type": "string"}}}}
                ]
            },
            (),
        ),
        ({"tools": [{"name": "x", "input_schema": {"examples": [{"model": "gpt"}]}}]}, ()),
        ({"tools": [{"type": "function", "function": {"parameters": {"model": "gpt"}}}]}, ()),
        ({"fallbacks": [{"model": OTHER}]}, (OTHER,)),
        ({"fallbacks": [OTHER, {"model": "b"}]}, (OTHER, "b")),
        ({"fallbacks": "default"}, (ANY,)),
        ({"fallbacks": {"model": OTHER}}, (None,)),
        ({"fallbacks": [{}]}, (None,)),
        ({"fallbacks": [7]}, (None,)),
        ({"fallbacks": []}, ()),
        ({"fallbacks": None}, ()),
        ({"something_new": {"of": [{"model": OTHER}]}}, (OTHER,)),
        ({"tools": [{"name": "long", "description": LONG * 2}, ADVISOR]}, (OTHER,)),
        ({"tools": [{**ADVISOR, "pad": LONG * 2}]}, (OTHER,)),
    ],
)
def test_other_models_that_may_answer_are_found(fields, found):
    assert asked(**fields).models == (OWN, *found)
    assert estimate(json.dumps({**fields, "model": OWN}, indent=1).encode()).models == (OWN, *found)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"haiku","tools":[{"type":"advisor_1","model":"haiku","model":"fable"}]}',
        b'{"model":"haiku","tools":[{"type":"advisor_1","mod\\u0065l":"fable"}]}',
        b'{"model":"haiku","t\\u006fols":[{"type":"advisor_1","model":"fable"}]}',
        b'{"model":"haiku","tools":[],"tools":[{"type":"advisor_1","model":"fable"}]}',
        b'{"model":"haiku","f\\u0061llbacks":[{"m\\u006fdel":"fable"}]}',
        b'{"model":"haiku","tools":[{"type":"advisor_1","model":"f\\u0061ble"}]}',
    ],
)
def test_no_spelling_hides_another_model(body):
    assert "fable" in estimate(body).models


def test_what_an_advisor_may_use_is_held_at_its_own_price():
    found = asked(max_tokens=100, tools=[{**ADVISOR, "max_uses": 2, "max_tokens": 50}])
    own, advisor = found.calls
    once = own.input_tokens // 3
    assert own == Call(OWN, 3 * once, 100)  # which reads everything again after each answer
    assert advisor == Call(OTHER, 2 * (once + 100), 2 * 50)


@pytest.mark.parametrize("limits", [{}, {"max_uses": 0}, {"max_uses": "many", "max_tokens": None}])
def test_an_advisor_without_bounds_has_the_documented_ones(limits):
    own, advisor = asked(max_tokens=100, tools=[{**ADVISOR, **limits}]).calls
    once = own.input_tokens // (1 + ADVISOR_USES)
    assert advisor == Call(OTHER, ADVISOR_USES * (once + 100), ADVISOR_USES * ADVISOR_TOKENS)


def test_what_each_fallback_may_use_is_held():
    found = asked(max_tokens=9, fallbacks=[{"model": OTHER}, {"model": "b"}])
    assert [call.model for call in found.calls] == [OWN, OTHER, "b"]
    assert {call[1:] for call in found.calls} == {found.calls[0][1:]}
    assert [call.model for call in asked(fallbacks="default").calls] == [OWN, None]


def test_a_body_of_too_many_members_is_given_up():
    many = b",".join([b'"a":1'] * (MOST_MEMBERS + 1))
    with pytest.raises(TooManyMembers, match="100,000 members"):
        estimate(b"{" + many + b"}")
    with pytest.raises(TooManyMembers):
        estimate(b'{"tools":[' + b"1," * (MOST_MEMBERS + 1) + b"1]}")


def test_nothing_is_parsed_without_end(monkeypatch):
    """Beyond a MiB models are searched for."""
    sizes = []
    monkeypatch.setattr(module, "_parsed", lambda text: sizes.append(len(text)))
    tool = {**ADVISOR, "pad": "x" * 10_000}
    assert asked(tools=[tool] * 500).models.count(OTHER) > 300
    assert sum(sizes) < 1024 * 1024 + 100
