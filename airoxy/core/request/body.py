"""What airoxy has to know of a request body.

Invariant: a body of more than some kilobytes is never parsed as a whole. Those below LARGE may be
treated at once, larger ones by the `…_steps` generators, which pause after half a millisecond or
so of work:

    steps = read_request_steps(body)
    ...  # next(steps), and others have their turn, until StopIteration brings the result
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Body, Members, NotJson, Work
from airoxy.core.request.resource_ids import ESCAPE, ids_in, may_name
from airoxy.core.request.search.memmem import SHORT, holds

#: Below this many bytes either takes less than 3 ms, whatever is sent (above, it usually does).
LARGE = 8 * 1024
#: Up to this many bytes parsing is the fastest way.
_SMALL = 4096
#: A model's name goes into the log.
_LONGEST_MODEL = 200

#: What has a model first, among members that are neither long nor nested, and from the last list on
#: nothing that is nested deeper; as a client writes it that puts no blanks between.
_TEXT, _PLAIN = rb'"[^"\\]{0,999}+(?:\\.[^"\\]{0,999}+){0,99}+"', rb"[-+.0-9Ea-z]{1,30}+"
_MEMBER = rb'"[a-z_]{1,40}":(?:' + _TEXT + b"|" + _PLAIN + b")"
_FRONT = re.compile(rb"\{(?:" + _MEMBER + rb',){0,9}?"model":"([ -!#-\[\]-~]{1,99})",')
_BACK = re.compile(
    rb"(?:," + _MEMBER + rb'|,"[a-z_]{1,40}":\{(?:' + _MEMBER + rb",?){0,9}\}){0,20}?"
    rb'(?:,"stream":(true|false))?\}'
)  # fmt: skip
_GLANCE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: `resources` are the ids of what it
    names in an account, such as files."""

    model: str | None
    stream: bool
    resources: tuple[str, ...]
    #: The body is known to be without \u00: who reads it later need not look for it again.
    no_escapes: bool = field(default=False, compare=False)


def read_request(body: Body) -> Asked:
    """Exact for a JSON object; anything else asks for nothing (unless it looks very much like one:
    a larger body is not checked in all its parts)."""
    if asked := _at_a_glance(body):
        return asked
    if len(body) > _SMALL or may_name(body):
        return json_scan.run(_read(body))
    try:
        model, stream = _parsed(body)
    except NotJson:
        return Asked(None, False, ())
    return Asked(_clean(model), stream, ())


def read_request_steps(body: Body) -> Generator[None, None, Asked]:
    """The same with pauses."""
    return json_scan.paced(_read(body))


def _read(body: Body) -> Work[Asked]:
    if len(body) <= _GLANCE and (asked := _at_a_glance(body)):
        return asked
    no_escapes = not (yield from json_scan.holds(body, ESCAPE))
    try:
        if len(body) <= _SMALL:
            model, stream = _parsed(body)
        else:
            model, stream = yield from _skimmed(body, no_escapes=no_escapes)
    except NotJson:
        return Asked(None, False, ())
    ids = yield from ids_in(body, any_kind=False, escapes=not no_escapes)
    return Asked(_clean(model), stream, ids, no_escapes)


def _at_a_glance(body: Body) -> Asked | None:
    """The usual case, if it is one: the model among the first members, `stream` the last one, and
    neither named anywhere else.

    Exact for JSON: what follows the last bracket begins outside of strings if a letter follows its
    first quote, and if no more than one brace closes then, it is the outermost object's.
    """
    front, back = _FRONT.match(body), _BACK.fullmatch(body, body.rfind(b"]") + 1)
    if front is None or back is None or _has(body, b'"model"', front.end()):
        return None
    if may_name(body):
        return None
    if back[1] is None and _has(body, b'"stream"', 0):
        return None
    return _usual(front[1], back[1])


@lru_cache(maxsize=1024)  # model names come from clients
def _usual(model: bytes, stream: bytes | None) -> Asked:
    return Asked(model.decode(), stream == b"true", (), no_escapes=True)


def _has(body: Body, word: bytes, start: int) -> bool:
    """Whether it stands in what begins there."""
    if len(body) < SHORT:
        return body.find(word, start) >= 0
    return holds(body, word, start, len(body))


def _parsed(body: Body) -> tuple[Any, bool]:
    try:
        asked = json.loads(str(body, "utf-8"))
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(asked, dict):
        raise NotJson
    return asked.get("model"), asked.get("stream") is True


def _skimmed(body: Body, *, no_escapes: bool) -> Work[tuple[str | None, bool]]:
    members = Members(body, no_escapes=no_escapes)
    stream = yield from members.find(b"stream")
    model = yield from members.find(b"model")
    return (
        json_scan.string(body, model.start, model.end, _LONGEST_MODEL) if model else None,
        stream is not None and body.startswith(b"true", stream.start, stream.end),
    )


def _clean(model: Any) -> str | None:
    """Printable, so that no line break, escape sequence or lone surrogate gets into the log."""
    if not isinstance(model, str):
        return None
    model = model[:_LONGEST_MODEL]
    return (model if model.isprintable() else "".join(filter(str.isprintable, model))) or None
