"""The most that a request can use, and the models that may be billed, read before it is sent.

The estimate is an upper one, and cheap. Text has two bytes or more for each token, whatever the
language; so has nearly everything that is written as JSON. Not included is what the body only
names: images and documents by URL or by the id of a file, what server tools find, and what the
account has of a message thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import (
    MOST_MEMBERS,
    Body,
    Member,
    Members,
    NotJson,
    TooManyMembers,
    Work,
)
from airoxy.core.request.search.model_scan import ANY, ModelScan

#: No text has more tokens than one in so many bytes.
BYTES_PER_TOKEN = 2
#: What an advisor is taken to be called, and to write each time, where the request does not say.
ADVISOR_USES, ADVISOR_TOKENS = 5, 4096
#: No model writes more, and no tool is used more often; the API refuses who asks for more.
_MOST_TOKENS, _MOST_USES = 10_000_000, 1000
#: A number, or a word such as "fast" (bytes).
_SHORT = 64
_LONGEST_MODEL = 200

#: Members with the client's own text, in which the word "model" means nothing.
_CONTENT = frozenset((
    "messages", "system", "metadata", "stop_sequences", "tool_choice", "thread", "diagnostics",
    "output_format", "output_config", "response_format", "functions",
))  # fmt: skip
#: What is read of a request that has one model.
_OWN = (b"model", b"max_tokens", b"max_completion_tokens", b"speed")
_SCHEMAS = frozenset(("input_schema", "input_examples", "parameters"))
#: More models than the API takes in one request.
_MOST_MODELS = 100
#: Most that is parsed at once, and in all (bytes); anything beyond is searched for models instead.
_PARSED, _PARSED_IN_ALL = 32 * 1024, 1024 * 1024


class Call(NamedTuple):
    """One model at work, with its tokens at the most; its name is None where nobody knows it."""

    model: str | None
    input_tokens: int
    output_tokens: int


class Estimate(NamedTuple):
    """`models` may be billed, None being one that is not clear; `fast` is whether the dearer
    service is asked for."""

    calls: tuple[Call, ...] = ()
    models: tuple[str | None, ...] = ()
    fast: bool = False

    @property
    def tokens(self) -> int:
        return sum(call.input_tokens + call.output_tokens for call in self.calls)


class _Advisor(NamedTuple):
    model: str | None
    uses: int
    tokens: int


class _Object(list[tuple[str, Any]]):
    """A JSON object with all its members: of two with one name nobody knows which the API takes."""

    def get(self, name: str) -> Any:
        return next((value for key, value in self if key == name), None)


def read_estimate(body: Body) -> Work[Estimate]:
    """What the request `body` asks for. Raises json_scan.TooManyMembers."""
    reader = _Reader(body)
    try:
        members = Members(body)
        if (yield from _has_one_model(body)):
            for name in _OWN:
                if (found := (yield from members.find(name))) is not None:
                    yield from reader.take(found)
        else:
            yield from json_scan.walk(members, reader.take)
    except NotJson:
        reader = _Reader(body)
    return reader.estimate()


def _has_one_model(body: Body) -> Work[bool]:
    """Whether no other model can be asked for, so that not all members have to be gone through."""
    last = yield from json_scan.rfind(body, b'"model"', len(body))
    if last < 0 or (yield from json_scan.rfind(body, b'"model"', last)) >= 0:
        return False
    for mark in (b'"fallbacks"', b'"advisor', b"\\u00"):
        if (yield from json_scan.rfind(body, mark, len(body))) >= 0:
            return False
    return True


class _Reader:
    """Takes the members of a request, one after the other."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._models: list[str | None] = []
        self._fallbacks: list[str | None] = []
        self._advisors: list[_Advisor] = []
        self._output = 0
        self._fast = False
        self._left = _PARSED_IN_ALL

    def take(self, member: Member) -> Work[None]:
        match _name(member.key):
            case "model" if len(self._models) == _MOST_MODELS:
                raise TooManyMembers
            case "model":
                self._models.append(_model(self._value(member.start, member.end)))
            case "max_tokens" | "max_completion_tokens":
                self._output = max(self._output, self._number(member))
            case "speed":
                self._fast |= self._value(member.start, member.end) == "fast"
            case "fallbacks":
                yield from self._take_fallbacks(member)
            case name if name not in _CONTENT and self._body[member.start] in b"[{":
                yield from self._take_parts(member)

    def estimate(self) -> Estimate:
        input_ = -(-len(self._body) // BYTES_PER_TOKEN)
        own = self._models or [None]
        # The model reads everything again after each of the advisors' answers.
        rounds = 1 + sum(advisor.uses for advisor in self._advisors)
        calls = [
            Call(_known(model), input_ * rounds, self._output) for model in own + self._fallbacks
        ]
        for advisor in self._advisors:
            read = (input_ + self._output) * advisor.uses
            calls.append(Call(advisor.model, read, advisor.tokens * advisor.uses))
        models = (*self._models, *self._fallbacks, *(each.model for each in self._advisors))
        return Estimate(tuple(calls), models, self._fast)

    def _take_fallbacks(self, member: Member) -> Work[None]:
        value = self._value(member.start, member.end)
        yield 30 * (member.end - member.start)
        if isinstance(value, list) and not isinstance(value, _Object):
            for each in value:
                own = [m for m, _ in _models_in(each)] if isinstance(each, list) else [_model(each)]
                self._fallbacks += own or [None]
        elif value is not None or self._body[member.start : member.start + 4] != b"null":
            self._fallbacks.append(ANY if isinstance(value, str) else None)

    def _take_parts(self, member: Member) -> Work[None]:
        """Tools, and whatever may have a model of its own."""
        start, end = member.start, member.end
        spans = [(start, end)]
        if end - start > _PARSED and self._body[start] == ord("["):
            spans = yield from json_scan.elements(self._body, start)
        for start, end in spans:
            if end - start > min(_PARSED, self._left):
                yield from self._search(start, end)
                continue
            yield 4000 + (end - start)
            part = bytes(self._body[start:end])
            if b'"model"' in part or b"\\u00" in part or b'"advisor' in part:
                self._left -= len(part)
                yield 60 * len(part)
                self._advisors += _advisors(_parsed(part))

    def _search(self, start: int, end: int) -> Work[None]:
        """What is too long to be parsed: every model in it may be an advisor's."""
        scan = ModelScan()
        for at in range(start, end, _PARSED):
            piece = bytes(self._body[at : min(end, at + _PARSED)])
            yield 8 * len(piece)
            for model in scan.feed(piece if at + _PARSED < end else piece + b"}"):
                self._advisors.append(_Advisor(model, ADVISOR_USES, ADVISOR_TOKENS))
            if len(self._advisors) > MOST_MEMBERS:
                raise TooManyMembers

    def _value(self, start: int, end: int) -> Any:
        """What is no longer than it should be; None is what is not clear."""
        if self._body[start] == ord('"'):
            return json_scan.string(self._body, start, end, _LONGEST_MODEL)
        return _parsed(bytes(self._body[start:end])) if end - start <= _PARSED else None

    def _number(self, member: Member) -> int:
        if member.end - member.start > _SHORT:
            return 0
        return _bounded(self._value(member.start, member.end), _MOST_TOKENS) or 0


def _name(key: bytes) -> str:
    text = key.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    return json_scan.string(b'"' + key + b'"', 0, len(key) + 2, _LONGEST_MODEL) or ""


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return None


def _model(value: Any) -> str | None:
    """Of `"name"` or `{"id": "name"}`."""
    if isinstance(value, _Object):
        value = value.get("id")
    return value if isinstance(value, str) else None


def _known(model: str | None) -> str | None:
    return None if model == ANY else model


def _models_in(value: Any) -> Iterator[tuple[str | None, _Object]]:
    """Each `model` at any depth, but in schemas, and the object that it stands in."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, _Object):
            for name, inner in part:
                if name == "model" and (model := _model(inner)) is not None:
                    yield model, part
                elif name not in _SCHEMAS:
                    left.append(inner)
        elif isinstance(part, list):
            left += part


def _advisors(value: Any) -> Iterator[_Advisor]:
    """What is not clear is an advisor of an unknown model."""
    if value is None:
        yield _Advisor(None, ADVISOR_USES, ADVISOR_TOKENS)
    for model, part in _models_in(value):
        uses = _bounded(part.get("max_uses"), _MOST_USES) or ADVISOR_USES
        tokens = _bounded(part.get("max_tokens"), _MOST_TOKENS) or ADVISOR_TOKENS
        yield _Advisor(model, uses, tokens)
    for part in value if isinstance(value, list) else ():
        if isinstance(part, _Object) and str(part.get("type")).startswith("advisor"):
            if not any(True for _ in _models_in(part)):
                yield _Advisor(None, ADVISOR_USES, ADVISOR_TOKENS)


def _bounded(value: object, most: int) -> int | None:
    """Of what is no such number the API makes an error, which costs nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    return int(min(value, most))
