import itertools
import json
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airoxy.core.request import json_scan
from airoxy.core.request.body import splice_system
from tests.core.request import json_texts as texts

LINE = "You are Claude Code, Anthropic's official CLI for Claude."
BLOCK = b'{"type":"text","text":"%b"}' % LINE.encode()
AGENT = "You are Claude Code, Anthropic's official CLI for Claude, running within the Agent SDK."


def splice(body, line=LINE):
    """The same for every type of body and wherever pieces of a large one end."""
    spliced = splice_system(body, line)
    with mock.patch.multiple(json_scan, _SMALLEST=2, _PIECE=5, _WINDOW=16):
        assert splice_system(body, line) == spliced
    mutable = bytearray(body)
    again = splice_system(mutable, line)
    assert again == spliced
    assert mutable == body
    assert (again is mutable) == (spliced is body)
    return spliced


@pytest.mark.parametrize(
    ("body", "spliced"),
    [
        (b"{}", b'{"system":[LINE]}'),
        (b" {\n} ", b' {\n"system":[LINE]} '),
        (b'{"model":"m"}', b'{"system":[LINE],"model":"m"}'),
        (b'\n{ "model" : 1e400 }\n', b'\n{ "system":[LINE],"model" : 1e400 }\n'),
        (b'{"system":null}', b'{"system":[LINE]}'),
        (b'{"system":""}', b'{"system":[LINE]}'),
        (b'{"system":[]}', b'{"system":[LINE]}'),
        (b'{"system": [ \n] }', b'{"system": [LINE \n] }'),
        (b'{"system":"a"}', b'{"system":[LINE,{"type":"text","text":"a"}]}'),
        (
            b'{"system" : "\\u00e9 \\ud800 \\"\xc3\xa9\\/" ,"z":0}',
            b'{"system" : [LINE,{"type":"text","text":"\\u00e9 \\ud800 \\"\xc3\xa9\\/"}] ,"z":0}',
        ),
        (b'{"system":[{"text":"a"}]}', b'{"system":[LINE,{"text":"a"}]}'),
        (b'{"system":[ { "text":"a"} , 1]}', b'{"system":[LINE, { "text":"a"} , 1]}'),
        (b'{"system":[{}]}', b'{"system":[LINE,{}]}'),
        (b'{"system":["a"]}', b'{"system":[LINE,"a"]}'),
        (b'{"system":"a","system":"b"}', b'{"system":"a","system":[LINE,TEXT"b"}]}'),
        (b'{"system":"a","\\u0073ystem":[]}', b'{"system":"a","\\u0073ystem":[LINE]}'),
        (b'{"s\\u0079stem":"a","system":[]}', b'{"s\\u0079stem":"a","system":[LINE]}'),
        (b'{"sYstem":"a"}', b'{"system":[LINE],"sYstem":"a"}'),
        (b'{"a":{"system":"b"}}', b'{"system":[LINE],"a":{"system":"b"}}'),
        (b'{"a":"\\"system\\":"}', b'{"system":[LINE],"a":"\\"system\\":"}'),
        (b'{"a":["system"]}', b'{"system":[LINE],"a":["system"]}'),
    ],
)
def test_the_line_comes_first_and_every_other_byte_stays(body, spliced):
    spliced = spliced.replace(b"LINE", BLOCK).replace(b"TEXT", b'{"type":"text","text":')
    assert splice(body) == spliced


BILLING = "x-anthropic-billing-header: cc_version=2"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in LINE)


@pytest.mark.parametrize(
    "system",
    [
        json.dumps(LINE),
        json.dumps(LINE + " And more."),
        f'"{ESCAPED}"',
        json.dumps([{"type": "text", "text": LINE}]),
        json.dumps([{"type": "text", "text": LINE, "cache_control": {"type": "ephemeral"}}, {}]),
        json.dumps([{"cache_control": {"type": "ephemeral"}, "text": LINE, "type": "text"}]),
        json.dumps([{"type": "text", "text": LINE + "\nAnd more."}], indent=2),
        f'[{{"te\\u0078t":"{ESCAPED}"}}]',
        f'[{{"text":"other","text":"{LINE}"}}]',
        f'[ {{ "text" : "{LINE}" }} ]',
        # As Claude Code sends it: with a note on billing before the line.
        json.dumps([{"text": BILLING}, {"text": LINE}, {}]),
        f'[{{"text":"{BILLING}","a":[{{}}]}}\n, {{"b":1 , "text":"{LINE}"}}]',
    ],
)
def test_who_has_the_line_already_is_left_alone(system):
    body = b'{"model":"m","system":' + system.encode() + b"}"
    assert splice(body) is body


@pytest.mark.parametrize(
    "system",
    [
        [{"type": "text", "text": AGENT}],
        [{"type": "text", "text": LINE[:-1]}],
        [{"type": "text", "text": ""}, {"type": "text", "text": LINE}],
        [{"type": "text", "text": BILLING}],
        [{"type": "text", "text": BILLING}, {}, {"type": "text", "text": LINE}],
        [{"type": "text", "text": {"text": LINE}}],
        [{"type": "text", "texts": LINE}],
        [[{"type": "text", "text": LINE}]],
        [LINE],
        [{"text": None}],
    ],
)
def test_another_first_block_gets_the_line_before_it(system):
    spliced = json.loads(splice(json.dumps({"system": system}).encode()))
    assert spliced["system"] == [{"type": "text", "text": LINE}, *system]


@pytest.mark.parametrize("system", [AGENT, " " + LINE, LINE[:-1], "x", " "])
def test_another_text_becomes_the_second_block(system):
    spliced = json.loads(splice(json.dumps({"system": system}).encode()))
    blocks = [{"type": "text", "text": text} for text in (LINE, system)]
    assert spliced["system"] == blocks


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'[{"system":"a"}]',
        b"not json",
        b'{"system":"a"',
        b'{"system":"a",}',
        b'{"system":}',
        b'\xef\xbb\xbf{"system":"a"}',
        '{"system":"a"}'.encode("utf-16"),
        b'{"system":1}',
        b'{"system":true}',
        b'{"system":{"type":"text","text":"a"}}',
        b'{"system":"a","system":{}}',
    ],
)
def test_what_the_api_will_refuse_anyway_goes_as_it_came(body):
    assert splice(body) is body


def test_a_line_with_odd_characters_is_spelled_as_json():
    line = 'Say "é☃😀"\n\\ and / more.'
    body = splice(b'{"a":1}', line)
    assert json.loads(body)["system"] == [{"type": "text", "text": line}]
    assert splice(body, line) is body


def text_of(block):
    text = block.get("text") if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""


def is_billing(block):
    return text_of(block).startswith(BILLING[:27])


def expected(body):
    """What a plain reader should find in the spliced body; None if it is to be left alone."""
    asked = json.loads(body)
    system = asked.get("system")
    first = {"type": "text", "text": LINE}
    if isinstance(system, str) and system:
        carries = system.startswith(LINE)
        system = [first, {"type": "text", "text": system}]
    elif isinstance(system, list):
        blocks = itertools.dropwhile(is_billing, system)
        carries = text_of(next(blocks, None)).startswith(LINE)
        system = [first, *system]
    else:
        carries = system not in ("", None) or isinstance(system, bool)
        system = [first]
    return None if carries else {**asked, "system": system}


def without_the_line(spliced):
    """All that the body may have been before."""
    yield spliced.replace(b'"system":[' + BLOCK + b"],", b"", 1)
    yield spliced.replace(b'"system":[' + BLOCK + b"]", b"", 1)
    yield spliced.replace(BLOCK + b",", b"", 1)
    for value in (b"", b"[]", b'""', b"null"):
        yield spliced.replace(b"[" + BLOCK + b"]", value, 1)
    yield spliced.replace(BLOCK, b"", 1)
    opening = b"[" + BLOCK + b',{"type":"text","text":'
    before, _, after = spliced.partition(opening)
    yield from (
        before + after[:at] + after[at + 2 :]
        for at in range(len(after))
        if after.startswith(b"}]", at)
    )


SYSTEMS = (
    texts.string,
    texts.array(st.one_of(texts.string, st.just('{"type":"text","text":"a"}'))),
    st.sampled_from(
        (
            f'[{{"text":"{BILLING}"}},{{"text":"{LINE}"}}]',
            f'"{LINE}"',
            f'"{ESCAPED}"',
            f'[{{"text":"{LINE}"}}]',
            '""',
            "null",
            "[]",
        )
    ),
    texts.value(st.one_of(texts.plain_key, texts.escaped_key)).map("[{}]".format),
)


@texts.some
@given(texts.document(st.one_of(texts.plain_key, texts.escaped_key), *SYSTEMS))
@example(b'{"system":"a"}')
@example(b'{"\\u0073ystem":null,"system":[{"text":{"text":[]}}],"\\u0073ystem":[{}]}')
def test_a_plain_reader_finds_the_line_first_and_all_else_as_it_was(body):
    spliced = splice(body)
    want = expected(body)
    if want is None:
        assert spliced is body
    else:
        assert json.loads(spliced) == want
        assert body in without_the_line(spliced)
        assert splice(spliced) is spliced


@texts.some
@given(texts.document(texts.plain_key, *SYSTEMS), st.integers(0, 300), st.binary(max_size=3))
def test_nothing_that_is_sent_makes_it_fail(body, at, garbage):
    for broken in (body[:at], body[at:], body[:at] + garbage + body[at:], garbage):
        splice(broken)


def test_a_body_of_some_megabytes_is_spliced_like_any():
    text = json.dumps("QUJD" * 1_000_000)
    body = f'{{"messages":[{text}],"system":{text},"model":"m"}}'.encode()
    spliced = splice_system(body, LINE)
    assert json.loads(spliced)["system"][1]["text"] == json.loads(text)
    assert body in without_the_line(bytes(spliced))
