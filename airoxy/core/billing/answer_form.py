"""In which form an answer tells its usage, by its path and its content type."""

from __future__ import annotations

import re

_RESULTS = re.compile(r"/v1/messages/batches/[^/]+/results")
#: Answers that are one message, or that name a batch or file; a file's content is the client's own.
_DOCUMENTS = re.compile(
    r"/v1/(?:messages(?:/batches(?:/[^/]+(?:/cancel)?)?)?|chat/completions|files(?:/[^/]+)?)"
)
#: Answers that are JSON, too, and say nothing of usage.
_OTHERS = re.compile(r"/v1/(?:messages/count_tokens|models(?:/[^/]+)?)")
_STREAMS = {"/v1/messages": "sse", "/v1/chat/completions": "chat"}


def form_of(path: str, status: int, content_type: str) -> str:
    """How an answer is to be read: "sse", "chat" (a chat completion's events), "json", "jsonl", or
    "none" where nothing is counted. (What is not the API's is read as "page".)"""
    path = path.partition("?")[0].rstrip("/")
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if status >= 400:
        return "json" if is_json else "none"
    if status == 200 and _RESULTS.fullmatch(path):
        return "jsonl"
    if kind == "text/event-stream":
        return _STREAMS.get(path, "none")
    return "json" if is_json and _DOCUMENTS.fullmatch(path) else "none"


def is_document(path: str) -> bool:
    """Whether the whole answer is a document or a stream that is understood here."""
    path = path.partition("?")[0].rstrip("/")
    return any(paths.fullmatch(path) for paths in (_DOCUMENTS, _RESULTS, _OTHERS))
