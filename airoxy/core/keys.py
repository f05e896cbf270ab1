"""Secrets as text: a client key's form and digest, whether one stands in another text, a token's
type, and the mask that may be shown.

Invariant: a secret that is shown, logged or stored for showing has gone through `mask`.
"""

from __future__ import annotations

import hashlib
import re
import string
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from airoxy.errors import InvalidInput

KEY_PREFIX = "ak-"
KEY_LENGTH = 40
_CUT_OFF = re.compile(r"sk-ant-(?:(?:api|oat|ort)[0-9]*-?)?")
#: One of Anthropic's, long enough that 7 characters of it give nothing away.
_WHOLE_TOKEN = re.compile(r"(sk-ant-[a-z]+[0-9]*-)[\w-]{40}", re.ASCII)
_ALPHABET = string.ascii_letters + string.digits

#: What makes a text search of a key: its random part, as it is and in Base64.
Needles = tuple[bytes, ...]

_PREFIX = KEY_PREFIX.encode()
_RANDOM = b"[A-Za-z0-9]{%d}" % KEY_LENGTH
_KEY = re.compile(rb"(?<![A-Za-z0-9])%b%b(?![A-Za-z0-9])" % (_PREFIX, _RANDOM))
_OFFERED = re.compile(KEY_PREFIX + _RANDOM.decode())
#: Whoever reads a text may undo its escapes more than once.
_LEVELS = 8
#: With more of them a text takes a millisecond and more; no client has so many.
MOST_ESCAPES = 1000


def new_key(choice: Callable[[str], str]) -> str:
    """A client key; `choice` draws one character, `secrets.choice` in earnest (238 bits in all)."""
    return KEY_PREFIX + "".join(choice(_ALPHABET) for _ in range(KEY_LENGTH))


def given_key(text: str) -> str:
    """`text`, if it is a client key; InvalidInput for anything else."""
    if not re.fullmatch(rf"{KEY_PREFIX}[A-Za-z0-9]{{{KEY_LENGTH}}}", text, re.ASCII):
        raise InvalidInput(f"A client key is {KEY_PREFIX} and {KEY_LENGTH} letters and digits.")
    return text


def digest(key: str | bytes) -> bytes:
    """SHA-256 of a client key. The key is 238 random bits, so neither salt nor stretching adds."""
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).digest()


def needles(offered: Iterable[str]) -> Needles:
    """What the keys that a request offers are found by."""
    return tuple(each for key in offered if _OFFERED.fullmatch(key) for each in _spellings(key))


def has_key(text: bytes, own: Needles = ()) -> bool:
    """Whether something of the form of a client key stands in `text` by itself, or one of the
    request's own keys, whatever it stands in."""
    for _ in range(_LEVELS):
        for each in own:
            if each in text:
                return True
        if _PREFIX in text and _KEY.search(text):
            return True
        if not 0 < text.count(b"%") <= MOST_ESCAPES:
            return False
        text, escaped = unquote_to_bytes(text), text
        if text == escaped:
            return False
    return False


@lru_cache(maxsize=1024)
def _spellings(key: str) -> Needles:
    """In Base64 a text is spelled in one of three ways, by where it begins; the characters at both
    ends depend on what is around it."""
    random = key[len(KEY_PREFIX) :].encode()
    shifted = (b64encode(b"." * before + random) for before in range(3))
    return random, *(each[4:-4] for each in shifted)


def mask(secret: str) -> str:
    """The first 8 and last 4 characters, which leave a client key 184 secret bits; of a text too
    short for that, nothing. Anthropic's tokens begin alike and end alike (AA), so of a whole one
    there is what Anthropic's own console shows: its kind, 3 characters and the last 4."""
    if kind := _WHOLE_TOKEN.match(secret):
        return f"{secret[: kind.end(1) + 3]}…{secret[-4:]}"
    return f"{secret[:8]}…{secret[-4:]}" if len(secret) >= 16 else "…"


def token_type(secret: str) -> str:
    """ "oauth" or "api_key", told by Anthropic's prefixes; InvalidInput for anything else."""
    if secret.startswith("sk-ant-ort"):
        raise InvalidInput("That is a refresh token; give the access token (sk-ant-oat…) first.")
    if secret.startswith("sk-ant-admin"):
        raise InvalidInput(
            "That is an Admin API key, with which no model can be used; give an API key"
            " (sk-ant-api…) or an OAuth token (sk-ant-oat…)."
        )
    if not secret.startswith("sk-ant-"):
        raise InvalidInput("An Anthropic access token begins with sk-ant-; this one does not.")
    _check_copied(secret)
    return "oauth" if secret.startswith("sk-ant-oat") else "api_key"


def check_refresh_token(secret: str) -> None:
    """Raises InvalidInput for what is none."""
    if not secret.startswith("sk-ant-ort"):
        raise InvalidInput("An OAuth token needs its refresh token, which begins with sk-ant-ort.")
    _check_copied(secret)


def _check_copied(secret: str) -> None:
    """Raises InvalidInput where it has what cannot go upstream, or not more than its kind."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidInput("The token holds a character that no token has; copy it once more.")
    if _CUT_OFF.fullmatch(secret):
        raise InvalidInput("The token is cut off; copy it once more.")
