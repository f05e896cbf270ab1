import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.estimate import Estimate, ModelScan, read_estimate, read_models
from airoxy.core.request import json_scan

LONG = "x" * 20_000


def estimate(body: bytes) -> Estimate:
    return json_scan.run(read_estimate(body))


def models(body: bytes) -> list[str | None]:
    return json_scan.run(read_models(body))


def scanned(*pieces: bytes) -> list[str | None]:
    scan = ModelScan()
    return [model for piece in pieces for model in scan.feed(piece)]


@pytest.mark.parametrize(
    ("fields", "output", "fast"),
    [
        ({"max_tokens": 4096}, 4096, False),
        ({"max_tokens": 4096.0, "speed": "fast"}, 4096, True),
        ({"speed": "standard"}, 0, False),
        ({"max_tokens": None, "speed": None}, 0, False),
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
    assert estimate(body) == Estimate((len(body) + 1) // 2, output, fast)


@pytest.mark.parametrize("body", [b"", b"x", b'{"max_tokens":', b"[1]", b'{"max_tokens":1e999}'])
def test_what_is_no_request_asks_for_its_size(body):
    asked = estimate(body)
    assert asked.input_tokens == (len(body) + 1) // 2
    assert asked.output_tokens in (0, 10**7)


@given(st.binary(max_size=200))
def test_nothing_that_is_sent_fails(body):
    assert estimate(b"{" + body + b"}").input_tokens > 0
    models(b"{" + body + b"}")
    scanned(body, body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"model":"a"}', ["a"]),
        (b'{"model":"a","model":"b"}', ["a", "b"]),
        (b'{"model":"a","mod\\u0065l":"b"}', ["a", "b"]),
        (b'{"model":["a"],"x":{"model":"b"}}', [None]),
        (b'{"messages":[{"model":"b"}]}', []),
        (b'{"model":"a"', []),
        (b"model", []),
    ],
)
def test_every_model_that_could_be_meant_is_found(body, found):
    assert models(body) == found


BATCH = {
    "requests": [
        {"custom_id": "1", "params": {"model": "claude-a", "max_tokens": 5, "messages": []}},
        {"custom_id": "model", "params": {"max_tokens": 5, "model": "claude-b"}},
        {"custom_id": '"model":"said"', "params": {"note": "model", "model": "claude-c"}},
        {"custom_id": "4", "params": {"tools": [{"properties": {"model": {"type": "x"}}}]}},
    ]
}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_batch_is_found_out_however_it_is_cut(indent):
    body = json.dumps(BATCH, indent=indent).encode()
    wanted = {"claude-a", "claude-b", "claude-c"}
    assert set(scanned(body)) == wanted
    for cut in range(len(body)):
        assert set(scanned(body[:cut], body[cut:])) == wanted
    assert set(scanned(*(body[n : n + 1] for n in range(len(body))))) == wanted


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"mode\\u006c":"hidden"}', ["hidden"]),
        (b'{"\\u006D\\u006fdel":"hidden"}', ["hidden"]),
        (b'{"model":"hid\\u0064en"}', ["hidden"]),
        (b'{"model" \n:\t "hidden"}', ["hidden"]),
        (b'{"model"' + b" " * 5000 + b':"hidden"}', [None]),
        (b'{"model":"' + b"x" * 5000 + b'"}', [None]),
        (b'{"model":null,"a":["model"],"b":"model"}', []),
        (b'{"a":"\\"model\\":\\"said\\""}', []),
    ],
)
def test_no_spelling_hides_a_model(body, found):
    assert scanned(body) == found
    assert set(scanned(*(body[n : n + 7] for n in range(0, len(body), 7)))) == set(found)
