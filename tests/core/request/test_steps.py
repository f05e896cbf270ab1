"""Bodies that are made to take long: no step through them is long, nor are all together."""

from __future__ import annotations

import contextlib

import pytest

from airoxy.core.estimate import read_estimate
from airoxy.core.request import json_scan
from airoxy.core.request.body import read_request_steps
from airoxy.core.request.json_scan import MOST_MEMBERS, TooDear, TooManyMembers, paced
from airoxy.core.request.resource_ids import ids_in
from airoxy.errors import InvalidInput

SIZE = 2_000_000
#: A step may be estimated at a millisecond.
LONGEST = 1_000_000


def filled(before: bytes, pattern: bytes, after: bytes) -> bytes:
    return before + pattern * (SIZE // len(pattern)) + after


HOSTILE = {
    "keys without values": filled(b"{", b'"model" ', b"}"),
    "numbers for keys": filled(b'{"a":[', b'"model":1,', b"1]}"),
    "small objects": filled(b'{"a":[', b'{"model":1},', b"1]}"),
    "members": filled(b"{", b'"a":1,', b'"b":1}'),
    "models": filled(b"{", b'"model":1,', b'"b":1}'),
    "escaped quotes": filled(b'{"a":"', b'\\"', b'","b":1}'),
    "strings": filled(b'{"a":["', b'","', b'"],"b":1}'),
    "brackets in strings": filled(b'{"a":["', b'","]', b'"],"b":1}'),
    "depth": b'{"a":' + b"[" * SIZE + b"]" * SIZE + b',"b":1}',
    "objects": filled(b'{"a":[', b"{},", b'1],"b":1}'),
    "an escape": filled(b'{"mod\\u0065l":"x","a":"', b"x", b'"}'),
    "escapes": filled(b'{"a":"', b"\\u0061", b'"}'),
    "advisors": filled(b'{"tools":[', b'{"type":"advisor_1","model":"x"},', b"1]}"),
    "a long tool": filled(b'{"tools":[{"type":"advisor_1","model":"', b"x", b'"}]}'),
    "files": filled(b'{"a":[', b'"file_id":"file_1",', b"1]}"),
    "words like files": filled(b'{"a":"', b'\\"file_1\\" ', b'"}'),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_step_is_long(body):
    for work in (read_estimate(body), ids_in(body, any_kind=True), ids_in(body, any_kind=False)):
        with contextlib.suppress(InvalidInput):  # given up on the way
            for step in work:
                assert step < LONGEST


def test_a_body_is_given_up_when_its_steps_are_too_many(monkeypatch):
    monkeypatch.setattr(json_scan, "BUDGET", 1_000_000)
    with pytest.raises(TooDear):
        for _ in paced(read_estimate(HOSTILE["strings"])):
            pass
    for _ in paced(read_estimate(b'{"a":1}')):
        pass


def test_usual_bodies_are_far_from_being_given_up():
    text = b'A line of text with a \\"quote\\" in it.\\n' * (32_000_000 // 40)
    body = b'{"model":"m","messages":[{"role":"user","content":"%b"}],"stream":true}' % text
    assert sum(read_estimate(body)) < json_scan.BUDGET / 2
    assert sum(ids_in(body, any_kind=False)) < json_scan.BUDGET / 2


class Watched(bytes):
    """Knows how many of its bytes were searched at once, at the most."""

    longest = 0

    def find(self, name, start=0, end=2 * SIZE):
        self.longest = max(self.longest, min(end, len(self)) - start)
        return super().find(name, start, end)

    def rfind(self, name, start=0, end=2 * SIZE):
        self.longest = max(self.longest, min(end, len(self)) - start)
        return super().rfind(name, start, end)


def test_a_body_with_one_model_is_searched_in_short_steps_too():
    body = Watched(b'{"messages":["' + b"x" * SIZE + b'"],"max_tokens":1,"model":"m"}')
    assert max(read_estimate(body)) < LONGEST
    assert 0 < body.longest < SIZE / 10


def test_members_of_any_kind_are_given_up_before_they_take_long():
    for member in (b'"a":[{"b":[1]}]', b'"\\u0061":{"b":["c"]}', b'"a":[{"model":"b"},[2]]'):
        body = b'{"mod\\u0065l":"m",' + b",".join([member] * (MOST_MEMBERS - 10)) + b"}"
        for work in (read_request_steps(body), paced(read_estimate(body))):
            with pytest.raises(InvalidInput):
                for _ in work:
                    pass


def test_of_too_many_members_the_client_is_told():
    body = b'{"mod\\u0065l":"m"' + b',"a":1' * MOST_MEMBERS + b"}"
    with pytest.raises(TooManyMembers, match="100,000 members at one level"):
        for _ in read_request_steps(body):
            pass
