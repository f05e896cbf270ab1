"""The page in which the holder of a key sees what it has used: one document, nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from airoxy.core.request.headers import Headers

_FILE = Path(__file__).with_suffix(".html")


@cache
def key_page() -> tuple[bytes, Headers]:
    """It, and its headers: only its own script and style run in it, it asks only this server, and
    nobody frames it."""
    body = _FILE.read_bytes()
    policy = (
        f"default-src 'none'; script-src {_hash(body, b'script')}; style-src"
        f" {_hash(body, b'style')}; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    return body, [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept"),
    ]


def _hash(body: bytes, tag: bytes) -> str:
    found = re.search(b"<%b>(.*?)</%b>" % (tag, tag), body, re.DOTALL)
    text = found[1] if found else b""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
