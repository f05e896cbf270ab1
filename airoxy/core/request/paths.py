"""What a path of the API stands for: what it costs, whose it is, how large its bodies may be."""

from __future__ import annotations

import enum
import re
from urllib.parse import unquote_plus

API = "/v1/"
_MIB = 1024 * 1024
#: Larger bodies of uploads are streamed through, not collected (bytes).
STREAM_ABOVE = 4 * _MIB

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
COUNT_TOKENS, BATCHES = "/v1/messages/count_tokens", "/v1/messages/batches"
FILES, ORGANIZATIONS = "/v1/files", "/v1/organizations"

#: Anthropic's; it counts in MiB, and whoever is in doubt lets it decide (bytes).
_LIMIT, _UPLOAD_LIMITS = 32 * _MIB, {BATCHES: 256 * _MIB, FILES: 500 * _MIB}

# The normal form of a path: no empty segment but a last one, no "." or "..", no parameters after a
# ";", and no escape but of what has no meaning in a path; for another reader might take anything
# else for a path that airoxy does not recognise. So the escapes of letters, digits, "-._~/\;%#?",
# blanks, control characters and bytes above 7f are no part of it.
_ESCAPED = rb"%(?:2[1246-9A-Ca-c]|3[AC-Eac-e]|40|5[BDEbde]|60|7[B-Db-d])"
_SEGMENT = rb"(?!\.{1,2}(?:/|\Z))(?:[A-Za-z0-9._~!$&'()*+,=:@\[\]-]|" + _ESCAPED + rb")+"
_NORMAL = re.compile(rb"/v1/(?:" + _SEGMENT + rb"(?:/" + _SEGMENT + rb")*/?)?")

#: The form of Anthropic's ids.
ID = r"[a-z][a-z0-9]{0,30}_[0-9A-Za-z_-]{1,200}"
_ID = re.compile(ID, re.ASCII)

_COUNTED = frozenset((MESSAGES, CHAT, BATCHES))
_FREE_POST = re.compile(r"/v1/(?:messages/count_tokens|messages/batches/[^/]+/cancel|files)")
_FREE_DELETE = re.compile(r"/v1/(?:messages/batches|files)/[^/]+")

#: Anthropic limits these apart from each other; all else is "others".
_GROUPS = {
    MESSAGES: "messages",
    CHAT: "messages",
    "/v1/complete": "messages",
    COUNT_TOKENS: "count_tokens",
}
#: What a subscription's token is for.
_OPEN_TO_OAUTH = (MESSAGES, COUNT_TOKENS, "/v1/models")


class Cost(enum.Enum):
    """What is known of the cost of a request by its method and path."""

    COUNTED = enum.auto()
    FREE = enum.auto()
    UNKNOWN = enum.auto()
    #: The Admin API, which is not for clients at all.
    ADMINISTRATION = enum.auto()


def is_api(raw_path: bytes) -> bool:
    """Whether a path, as it was sent, is under /v1/ and in its normal form, so that every reader
    makes the same of it: the upstream token is for nothing else."""
    return _NORMAL.fullmatch(raw_path) is not None


def cost_of(method: str, path: str) -> Cost:
    """What is listed here is all that keys with limits of money, tokens or models may reach."""
    path = path.rstrip("/")
    if _is_in(path.lower(), ORGANIZATIONS):
        return Cost.ADMINISTRATION
    if method in ("GET", "HEAD"):
        return Cost.FREE
    if method == "POST" and path in _COUNTED:
        return Cost.COUNTED
    free = {"POST": _FREE_POST, "DELETE": _FREE_DELETE}.get(method)
    return Cost.FREE if free and free.fullmatch(path) else Cost.UNKNOWN


def ids_in_path(path: str) -> tuple[str, ...]:
    """The ids of what a request is about, such as a batch, a file, or a session and an event."""
    _, _, *parts = path.split("/")
    if parts[:2] == ["messages", "batches"]:
        parts = parts[1:]
    elif parts[:1] in (["messages"], ["models"], ["chat"], ["organizations"]):
        return ()
    return tuple(part for part in parts[1:] if is_id(part))


def ids_in_query(query: bytes) -> tuple[str, ...]:
    """The ids that select what a list shows, or where it begins."""
    if b"_" not in query and b"%" not in query:
        return ()
    values = (pair.partition(b"=")[2].decode("latin-1") for pair in query.split(b"&"))
    return tuple(value for value in map(unquote_plus, values) if is_id(value))


def is_id(text: str) -> bool:
    """Whether it has the form of Anthropic's ids."""
    return _ID.fullmatch(text) is not None


def limit_for(path: str) -> int:
    """How large a request body may be, in bytes."""
    return next((limit for of, limit in _UPLOAD_LIMITS.items() if _is_in(path, of)), _LIMIT)


def is_upload(path: str) -> bool:
    """Whether bodies above STREAM_ABOVE are to be streamed through."""
    return _is_in(path, BATCHES) or _is_in(path, FILES)


def takes_system(method: str, path: str) -> bool:
    """Whether the body is a Messages request, which has a `system`, to answer or to count."""
    return method == "POST" and path.rstrip("/") in (MESSAGES, COUNT_TOKENS)


def creates(method: str, path: str) -> bool:
    """Whether a request may make something that belongs to the account: a POST to a collection, and
    not to what names its model or asks for an answer."""
    path = path.rstrip("/")
    return method == "POST" and path not in (MESSAGES, CHAT, COUNT_TOKENS, "/v1/complete")


def endpoint_group(path: str) -> str:
    """The group of endpoints whose limits a path shares."""
    if group := _GROUPS.get(path.rstrip("/")):
        return group
    if _is_in(path, BATCHES):
        return "batches"
    return "files" if _is_in(path, FILES) else "others"


def is_open_to(token_type: str, path: str) -> bool:
    """Whether tokens of that type may use an endpoint, so that a refusal can mean the token."""
    if token_type == "oauth":
        path = path.rstrip("/")
        return path in _OPEN_TO_OAUTH or path.startswith("/v1/models/")
    return not _is_in(path.lower(), ORGANIZATIONS)


def _is_in(path: str, collection: str) -> bool:
    return path == collection or path.startswith(collection + "/")
