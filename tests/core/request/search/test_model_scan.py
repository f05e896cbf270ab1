import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.request.search import model_scan as module
from airoxy.core.request.search.model_scan import ANY, ModelScan


def scanned(*pieces: bytes) -> list[str | None]:
    scan = ModelScan()
    return [model for piece in pieces for model in scan.feed(piece)]


@given(st.binary(max_size=200))
def test_nothing_that_is_sent_fails(body):
    scanned(body, body)


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
        (b'{"fallbacks":"default"}', [ANY]),
        (b'{"fallb\\u0061cks" : "default"}', [ANY]),
        (b'{"fallbacks":[{"model":"hidden"}]}', ["hidden"]),
        (b'{"fallbacks":null}', []),
        (b'{"fallbacks": [ ]}', []),
        (b'{"fallbacks": [ "hidden"]}', [None]),
        (b'{"fallbacks":[{"model":"seen"},"hidden"]}', [None, "seen"]),
        (
            b'{"fallbacks":[{"model":"seen","x":["]"]},\n "hidden",{"model":"b"}]}',
            [None, "seen", "b"],
        ),
        (b'{"fallbacks":[{"model":"seen"},{"id":"hidden"}]}', [None, "seen"]),
        (b'{"fallbacks":[{"model":"seen"},["hidden"]]}', [None, "seen"]),
        (b'{"fallbacks":[{"model":"seen"},null]}', [None, "seen"]),
        (b'{"fallbacks":[{"fallbacks":["hidden"],"model":"seen"}]}', [None, "seen"]),
        (
            b'{"fallbacks":[{"model":"seen"},{"model":"seen","max_tokens":[1,"x"]}],"a":["b"]}',
            ["seen", "seen"],
        ),
        (b'{"fallbacks":[{"model":"seen"},' + b"{" * 20_000 + b'"hidden"]}', [None, "seen"]),
        (b'{"fallbacks":[{"model":"seen","\xc3\xa9":"' + b"x" * 9000 + b'"}]}', ["seen"]),
        (b'{"model": ["hidden"]}', []),
        (b'{"model":null,"a":["model"],"b":"model"}', []),
        (b'{"a":"\\"model\\":\\"said\\""}', []),
    ],
)
def test_no_spelling_hides_a_model(body, found):
    assert scanned(body) == found
    assert set(scanned(*(body[n : n + 7] for n in range(0, len(body), 7)))) == set(found)


def test_lists_within_lists_are_parsed_once(monkeypatch):
    parsed = []

    class Decoder(json.JSONDecoder):
        def raw_decode(self, text, idx=0):
            parsed.append(len(text))
            return super().raw_decode(text, idx)

    monkeypatch.setattr(module, "_decoder", Decoder())
    for part in (b'"fallbacks":[{', b'"fallbacks":[{"model":"x"}],', b'"fallbacks":[1],'):
        parsed.clear()
        scanned(b"{" + part * 5000 + b"}")
        assert len(parsed) == 5000 if b"x" in part else len(parsed) <= 2
