"""Secrets as text: a client key's form and digest, a token's type, and the mask that may be shown.

Invariant: a secret that is shown, logged or stored for showing has gone through `mask`.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable

from airoxy.errors import InvalidInput

KEY_PREFIX = "ak-"
KEY_LENGTH = 40
#: One of Anthropic's, long enough that 7 characters of it give nothing away.
_CUT_OFF = re.compile(r"sk-ant-(?:(?:api|oat|ort)[0-9]*-?)?")
_WHOLE_TOKEN = re.compile(r"(sk-ant-[a-z]+[0-9]*-)[\w-]{40}", re.ASCII)
_ALPHABET = string.ascii_letters + string.digits


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
