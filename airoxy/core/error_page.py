"""What an answer that is not the API's says of itself, in a few words for the usage log."""

from __future__ import annotations

import re

#: So much of it is looked at (bytes).
LOOKED_AT = 4096
_WORDS = 120

_NOT_TEXT = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^>]*(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)


def describe(content_type: str, server: str, body: bytes) -> str:
    """Its kind, which program sent it, and its first words: "text/html from nginx: Bad Gateway"."""
    kind = content_type.partition(";")[0].strip()[:60] or "no content type"
    sender = f" from {server.strip()[:40]}" if server.strip() else ""
    text = body[:LOOKED_AT].decode("utf-8", "replace")
    words = " ".join(_NOT_TEXT.sub(" ", text).split())[:_WORDS]
    return f"{kind}{sender}: {words or 'nothing'}"
