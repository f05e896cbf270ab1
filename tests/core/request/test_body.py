import json
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airoxy.core.request import body as rules
from airoxy.core.request import json_scan
from airoxy.core.request.body import Asked, read_request
from airoxy.core.request.resource_ids import ids_in
from airoxy.errors import InvalidInput
from tests.core.request import json_texts as texts

NOTHING = Asked(None, False, ())


def every_way(body):
    """How the body is read if it is taken for a small one, for a larger one, and at the places
    where pieces of a large one end."""
    yield read_request(body)
    with mock.patch.multiple(rules, _SMALL=0):
        yield read_request(body)
        with mock.patch.multiple(json_scan, _SMALLEST=2, _PIECE=5, _WINDOW=16):
            yield read_request(body)


def read(body):
    asked, *others = every_way(body)
    assert others == [asked, asked]
    if any(each.no_escapes for each in (asked, *others)):
        assert b"\\u00" not in body
    return asked


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"model":"claude-x","stream":true}', Asked("claude-x", True, ())),
        (b'{"messages":[],"stream":false,"model":"claude-x"}', Asked("claude-x", False, ())),
        (b' {\n "stream" :\ttrue ,\r\n "model" : "m" }\n', Asked("m", True, ())),
        (b'{"model":"first","model":"last"}', Asked("last", False, ())),
        (b'{"stream":true,"stream":false}', NOTHING),
        (b'{"\\u006dodel":"m","strea\\u006D":true}', Asked("m", True, ())),
        (b'{"model":"\\u006d\\/\\"\\ud83d\\ude00"}', Asked('m/"😀', False, ())),
        ('{"model":"modèle-☃"}'.encode(), Asked("modèle-☃", False, ())),
        (b'{"tools":[{"model":"inner","stream":true}]}', NOTHING),
        (b'{"a":{"model":"inner"},"b":{"stream":true,"model":{}}}', NOTHING),
        (b'{"model":"outer","a":{"b":[{"model":"inner"}]}}', Asked("outer", False, ())),
        (b'{"a":{"model":"inner"},"model":"outer","z":{"model":1}}', Asked("outer", False, ())),
        (b'{"a":"\\"model\\":\\"said\\"","b":", \\"stream\\": true"}', NOTHING),
        (b'{"a":"model","b":[ "model" , "stream" ],"c":"stream"}', NOTHING),
        (b'{"a":"\\\\","model":"m","b":"\\\\\\"","stream":true}', Asked("m", True, ())),
        (b'{"model":null,"stream":null}', NOTHING),
        (b'{"model":"","stream":"\\u0000"}', NOTHING),
        (b'{"model":["m"],"stream":"true"}', NOTHING),
        (b'{"model":{"model":"m"},"stream":1}', NOTHING),
        (b'{"Model":"m","modelx":"m","xmodel":"m","STREAM":true}', NOTHING),
        (b'{"n":1e400,"i":-184467440737095516160,"model":"m"}', Asked("m", False, ())),
        (b'{"requests":[{"custom_id":"1","params":{"model":"m","stream":true}}]}', NOTHING),
        (b"{}", NOTHING),
        (b" { } ", NOTHING),
    ],
)
def test_only_the_top_levels_model_and_stream_count(body, asked):
    assert read(body) == asked
    assert read(bytearray(body)) == asked


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"null",
        b'"model"',
        b"not json",
        b'[{"model":"m","stream":true}]',
        b'"model":"m"}',
        b'{"model":"m","stream":true',
        b'{"model":"m","messages":[{"a',
        b'{"model":"m",}',
        b'{"model":"m"} {"model":"m"',
        b'{model:"m"}',
        b"{'model':'m'}",
        b'{"stream":true,"model":}',
        b'{"model" "m"}',
        b'\xef\xbb\xbf{"model":"m"}',
        '{"model":"m"}'.encode("utf-16"),
        '{"model":"m"}'.encode("utf-16-le"),
        '{"model":"m"}'.encode("utf-32"),
        b"\x00" * 100,
        b"\\" * 99,
        b'"' * 99,
        b'--boundary\r\ncontent-disposition: form-data; name="file_id"\r\n\r\n"file_id":"file_1"',
    ],
)
def test_what_is_not_a_json_object_asks_for_nothing(body):
    assert read(body) == NOTHING


@pytest.mark.parametrize(
    ("open_", "close"), [(b"[", b"]"), (b'{"model":', b"}"), (b"[{},[", b"]]")]
)
@pytest.mark.parametrize("depth", [300, 10_000])
def test_depth_is_no_danger(open_, close, depth):
    nested = open_ * depth + b"1" + close * depth
    for body in (b'{"a":' + nested + b',"model":"m"}', b'{"model":"m","a":' + nested + b"}"):
        assert read(body) in (Asked("m", False, ()), NOTHING)
    for broken in (nested[1:], nested[:-1], b'{"a":' + open_ * depth, b'{"model":' + open_ * depth):
        assert read(broken) == NOTHING


def test_a_large_body_deep_down_is_read_as_exactly_as_any():
    body = b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b',"model":"m","b":1}'
    assert read(body) == Asked("m", False, ())


def test_a_models_name_is_fit_for_a_log():
    def model(name):
        return read(json.dumps({"model": name}).encode()).model

    assert model("m" * 200) == "m" * 200
    assert model("m" * 201) == "m" * 200
    assert model("😀" * 5000) == "😀" * 200
    assert model("a\r\n\x1b[31mb\x00\x7f\x85\u2028\u202e\ud800c") == "a[31mbc"
    assert model("claude-sonnet-4-5[1m]") == "claude-sonnet-4-5[1m]"


def test_raw_bytes_that_are_no_text_do_no_harm():
    for asked in every_way(b'{"model":"a\n\xff\xfe"}'):
        assert asked.model is None or asked.model.isprintable()


NAMED = ("file_01-A_b", "file_02", "container_01", "skill_01")


def test_the_names_of_files_are_found_wherever_they_are():
    body = json.dumps(
        {
            "messages": [
                {"source": {"type": "file", "file_id": "file_01-A_b"}},
                {"type": "container_upload", "file_id": "file_02"},
                {"source": {"file_id": "file_01-A_b"}},
                {"text": 'says "file_id": "file_03"'},
                {"file_id": "msgbatch_1"},
                {"container": {"id": "container_01", "skills": [{"skill_id": "skill_01"}]}},
                {"file_id": "file_"},
                {"file_id": 4},
                "file_id",
            ],
            "model": "m",
        }
    ).encode()
    assert read(body).resources == NAMED
    compact = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert read(compact).resources == NAMED


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","x":{"file_\\u0069d":"file_01"}}',
        b'{"model":"m","x":{"file_id":"f\\u0069le\\u005f0\\u0031"}}',
        b'{"model":"m","container":"container_01","x":"file_01"}',
        b'{"model":"m","x":["container_01", "' + b"x" * 300_000 + b'","file_01"]}',
        b'{"model":"m","x":["' + b"x" * (128 * 1024 - 24) + b'","file_01"]}',
    ],
)
def test_no_spelling_hides_an_id(body):
    assert "file_01" in read(body).resources


def test_who_names_more_than_can_be_looked_up_is_told_so():
    def named(count):
        files = [{"file_id": f"file_{n}"} for n in range(count)]
        return read(json.dumps({"files": files}).encode()).resources

    assert len(named(10_000)) == 10_000
    with pytest.raises(InvalidInput, match="more than 10,000 ids"):
        named(10_001)


def test_in_other_requests_any_id_is_one():
    body = json.dumps({"agent": "agent_01", "environment_id": "env_02", "x": ["vlt_03", "none"]})
    ids = json_scan.run(ids_in(body.encode(), any_kind=True))
    assert ids == ("agent_01", "env_02", "vlt_03")


def reference(body):
    """What a plain reader of JSON finds, less the names of files."""
    asked = json.loads(body)
    model = asked.get("model")
    if isinstance(model, str):
        model = "".join(filter(str.isprintable, model[:200])) or None
    else:
        model = None
    return model, asked.get("stream") is True


MEMBERS = (texts.string, st.just("true"))


@texts.some
@given(st.one_of(*(texts.document(key, *MEMBERS) for key in (texts.plain_key, texts.escaped_key))))
@example(b'{"model":{"model":"x"},"model":[{"model":"y"}]}')
@example(b'{"model":"' + b"\\\\" * 40 + b'","stream":true}')
def test_every_way_agrees_with_a_plain_reader(body):
    asked = read(body)
    assert (asked.model, asked.stream) == reference(body)


@texts.some
@given(texts.document(texts.plain_key, *MEMBERS), st.integers(0, 400), st.binary(max_size=3))
def test_nothing_that_is_sent_makes_it_fail(body, at, garbage):
    for broken in (body[:at], body[at:], body[:at] + garbage + body[at:], garbage):
        assert all(isinstance(asked, Asked) for asked in every_way(broken))


@texts.some
@given(texts.document(texts.plain_key, *MEMBERS))
def test_a_name_that_comes_often_is_still_read_exactly(body):
    """So many keys of inner objects that looking from the end gives up."""
    inner = b'"model":{"model":1},"stream":[{"stream":true}],' * 50
    many = b'{"a":{' + inner + b'"b":0},"c":' + body + b',"d":[{' + inner + b'"b":0}]}'
    asked = read(many)
    assert (asked.model, asked.stream) == (None, False)
    top = many.rstrip()[:-1] + b"," + body.lstrip()[1:] if json.loads(body) else many
    asked = read(top)
    assert (asked.model, asked.stream) == reference(top)


INNER = st.sampled_from(
    ["x", "]", ",", '"', "\\", "{", "}", ":", 'x],"', '","stream":true}', '],"stream":true}',
     "model", "stream", "m]\",\"a", 1, 2.5, -3e9, True, None]
)  # fmt: skip
NESTED = st.recursive(
    INNER,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "stream", "a", "x]", "}"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["model", "stream", "max_tokens", "metadata", "x],", ',"stream'])
SOME = st.lists(st.tuples(NAMES, NESTED), max_size=3)


@texts.some
@given(SOME, SOME)
@example([], [("metadata", {"a": 1, "stream": False})])
@example([], [("metadata", {"a": "]", "model": "y"})])
@example([("max_tokens", 1)], [("max_tokens", "],")])
def test_what_is_seen_at_a_glance_is_what_is_there(before, after):
    """Bodies as clients write them, and such as only look so."""
    members = [*before, ("model", "claude"), ("messages", [{"content": "x"}]), *after]
    for stream in ([], [("stream", True)], [("stream", False)]):
        spelled = [
            f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}"
            for name, value in [*members, *stream]
        ]
        body = "{" + ",".join(spelled) + "}"
        asked = read_request(body.encode())
        assert (asked.model, asked.stream) == reference(body)


def test_the_usual_body_is_seen_at_a_glance():
    body = b'{"model":"claude","max_tokens":9,"messages":[{"content":"]"}],"stream":true}'
    with mock.patch.multiple(rules, _parsed=None, _skimmed=None):
        assert read_request(body) == Asked("claude", True, ())


@pytest.mark.parametrize("last", [b'"stream":true', b'"tools":[{}],"stream":true'])
def test_of_a_long_body_it_is_known_whether_characters_are_escaped(last):
    body = b'{"messages":[{"content":"%b"}],"model":"claude",' + last + b"}"
    asked = read_request(body % (b"x" * 5000))
    assert asked == Asked("claude", True, ())
    assert asked.no_escapes
    assert not read_request(body % (b"\\u0020" * 1000)).no_escapes


@pytest.mark.parametrize("end", [b'"stream":true}', b'"stream":false}', b'"top_k":1}'])
def test_a_second_model_spelled_with_escapes_is_seen_in_a_body_of_the_usual_form(end):
    body = b'{"model":"claude-a","mod\\u0065l":"claude-b","messages":[],' + end
    assert read_request(body).model == json.loads(body)["model"] == "claude-b"
