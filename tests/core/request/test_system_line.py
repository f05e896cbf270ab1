import itertools
import json
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airoxy.core.request import json_scan, system_line
from tests.core.request import json_texts as texts

LINE = "You are Claude Code, Anthropic's official CLI for Claude."
BLOCK = b'{"type":"text","text":"%b"}' % LINE.encode()
AGENT = "You are Claude Code, Anthropic's official CLI for Claude, running within the Agent SDK."
KNOWN = (
    "You are a Claude agent, built on Anthropic's Claude Agent SDK.",
    f"{LINE[:-1]}, running within the Claude Agent SDK.",
)


def splice(body, lines=(LINE, *KNOWN)):
    """The same for every type of body and wherever pieces of a large one end."""
    spliced = system_line.splice(body, lines)
    with mock.patch.multiple(json_scan, _SMALLEST=2, _PIECE=5, _WINDOW=16):
        assert system_line.splice(body, lines) == spliced
    mutable = bytearray(body)
    again = system_line.splice(mutable, lines)
    assert again == spliced
    assert mutable == body
    assert (again is mutable) == (spliced is body)
    if b"\\u00" not in body:
        assert system_line.splice(body, lines, no_escapes=True) == spliced
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
        json.dumps(KNOWN[0] + " And more."),
        json.dumps([{"type": "text", "text": KNOWN[1]}]),
        json.dumps([{"text": BILLING}, {"text": BILLING}, {"text": KNOWN[0]}]),
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


@pytest.mark.parametrize(
    ("system", "spliced"),
    [
        (b'[{"text":"NOTE"}]', b'[{"text":"NOTE"},LINE]'),
        (b'[ {"text":"NOTE"} , {"a":1} ]', b'[ {"text":"NOTE"},LINE , {"a":1} ]'),
        (b'[{"text":"NOTE"},{"text":"b"}]', b'[{"text":"NOTE"},LINE,{"text":"b"}]'),
        (b'[{"text":"NOTE"},{"text":"NOTE"},{}]', b'[{"text":"NOTE"},{"text":"NOTE"},LINE,{}]'),
        (b'[{"text":"NOTE"},"a"]', b'[{"text":"NOTE"},LINE,"a"]'),
        (b'[{"a":[{}],"text":"NOTE"}]', b'[{"a":[{}],"text":"NOTE"},LINE]'),
        (b'"NOTE"', b'[{"type":"text","text":"NOTE"},LINE]'),
    ],
)
def test_the_note_on_billing_stays_first(system, spliced):
    spliced = spliced.replace(b"LINE", BLOCK).replace(b"NOTE", BILLING.encode())
    body = b'{"system":' + system.replace(b"NOTE", BILLING.encode()) + b"}"
    assert splice(body) == b'{"system":' + spliced + b"}"


@pytest.mark.parametrize(
    "thread",
    [
        '{"type":"continue","previous_message_id":"msg_1"}',
        '{ "previous_message_id" : "msg_1" , "type" : "continue" }',
        '{"type":"create","type":"continue"}',
        '{"t\\u0079pe":"c\\u006fntinue"}',
    ],
)
@pytest.mark.parametrize("key", ['"thread"', '"thre\\u0061d"'])
@pytest.mark.parametrize("rest", ["", ',"system":"a"'])
def test_nothing_is_put_into_the_continuation_of_a_thread(key, thread, rest):
    body = f'{{"messages":[],{key}:{thread}{rest}}}'.encode()
    assert splice(body) is body


@pytest.mark.parametrize(
    "thread", ['{"type":"create"}', "{}", "null", '"continue"', '{"a":{"type":"continue"}}']
)
def test_a_thread_that_begins_gets_the_line_like_any_request(thread):
    body = f'{{"thread":{thread}}}'.encode()
    assert splice(body) == b'{"system":[' + BLOCK + b"]," + body[1:]


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
    body = splice(b'{"a":1}', (line,))
    assert json.loads(body)["system"] == [{"type": "text", "text": line}]
    assert splice(body, (line,)) is body


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
        system = [{"type": "text", "text": system}]
    if isinstance(system, list):
        notes = list(itertools.takewhile(is_billing, system))
        rest = system[len(notes) :]
        carries = bool(rest) and text_of(rest[0]).startswith((LINE, *KNOWN))
        system = [*notes, first, *rest]
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
    yield spliced.replace(b"," + BLOCK, b"", 1)
    note = b'[{"type":"text","text":"' + BILLING[:27].encode()
    if note in spliced:
        yield spliced.replace(note, note[23:], 1).replace(b"}," + BLOCK + b"]", b"", 1)
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
            f'[{{"text":"{BILLING}"}},{{"text":"a"}}]',
            f'"{BILLING}"',
            f'"{KNOWN[0]}"',
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
    spliced = system_line.splice(body, (LINE,))
    assert json.loads(spliced)["system"][1]["text"] == json.loads(text)
    assert body in without_the_line(bytes(spliced))


def test_escapes_are_not_searched_for_where_there_are_none_for_certain():
    body = b'{"system":"%b","messages":[{"content":"%b"}]}' % (LINE.encode(), b"x" * 1_000_000)
    searched, known = (
        sum(system_line._splice(body, (LINE,), no_escapes=known)) for known in (False, True)
    )
    assert known < searched
