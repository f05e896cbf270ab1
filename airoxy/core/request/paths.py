"""What a path of the API stands for: whose it is, how large its bodies may be, what they hold."""

from __future__ import annotations

import re
from urllib.parse import unquote

API = "/v1/"
_MIB = 1024 * 1024
#: Larger bodies of uploads are streamed through, not collected (bytes).
STREAM_ABOVE = 4 * _MIB

MESSAGES, BATCHES, FILES = "/v1/messages", "/v1/messages/batches", "/v1/files"
#: To post here makes something that belongs to the token it was made with.
CREATING = frozenset((BATCHES, FILES))
_WITH_SYSTEM = frozenset((MESSAGES, "/v1/messages/count_tokens"))

#: Anthropic's; it counts in MiB, and whoever is in doubt lets it decide (bytes).
_LIMIT, _UPLOAD_LIMITS = 32 * _MIB, {BATCHES: 256 * _MIB, FILES: 500 * _MIB}

_NAMED = re.compile(
    r"/v1/(?:messages/batches/(msgbatch_[\w-]+)|files/(file_[\w-]+))(?![^/])", re.ASCII
)


def is_api(raw_path: bytes, path: str) -> bool:
    """Whether a path, as it was sent and with its escapes undone, is under /v1/ and stays there,
    whatever a server makes of dots, backslashes and escapes: the token is for nothing else."""
    if not raw_path.startswith(API.encode()):
        return False
    if "/." not in path and "\\" not in path and "%" not in path:
        return True
    readings = (raw_path.decode("latin-1"), path, unquote(path))
    return all(_stays_inside(reading.replace("\\", "/")) for reading in readings)


def _stays_inside(path: str) -> bool:
    depth = 0
    for segment in path.split("/")[1:]:
        depth += -1 if segment == ".." else segment not in ("", ".")
        if depth < 1:
            return False
    return True


def named_in_path(path: str) -> str | None:
    """The id of the batch or file that a request is about."""
    found = _NAMED.match(path)
    return found[found.lastindex or 0] if found else None


def limit_for(path: str) -> int:
    """How large a request body may be, in bytes."""
    return next((limit for of, limit in _UPLOAD_LIMITS.items() if _is_in(path, of)), _LIMIT)


def is_upload(path: str) -> bool:
    """Whether bodies above STREAM_ABOVE are to be streamed through."""
    return _is_in(path, BATCHES) or _is_in(path, FILES)


def takes_system(method: str, path: str) -> bool:
    """Whether the body is a Messages request, which has a `system`, to answer or to count."""
    return method == "POST" and path.rstrip("/") in _WITH_SYSTEM


def _is_in(path: str, collection: str) -> bool:
    return path == collection or path.startswith(collection + "/")
