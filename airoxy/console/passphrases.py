"""Passphrases of the console's users, kept as scrypt makes them."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading

from airoxy.errors import InvalidInput

SHORTEST, LONGEST = 12, 1024
#: 32 MiB and about 0.1 s each (OWASP's password storage cheat sheet has 2^17; the service's memory
#: is smaller than that times the threads).
_N, _R, _P = 2**15, 8, 1
_MEMORY = 64 * 2**20
#: One at a time, so that many logins at once take no more memory than one.
_TURN = threading.Lock()


def hashed(passphrase: str) -> str:
    """What is kept of it. Raises InvalidInput for one that is too short or too long."""
    if not SHORTEST <= len(passphrase) <= LONGEST:
        raise InvalidInput(f"A passphrase has {SHORTEST} to {LONGEST} characters.")
    salt = os.urandom(16)
    return f"scrypt:{_N}:{_R}:{_P}:{salt.hex()}:{_scrypt(passphrase, salt, _N, _R, _P).hex()}"


def matches(passphrase: str, kept: str | None) -> bool:
    """Whether it is the one that `kept` was made of. Without any it takes as long and is not."""
    _, n, r, p, salt, expected = (kept or _NOBODY).split(":")
    found = _scrypt(passphrase[:LONGEST], bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(expected)) and kept is not None


def _scrypt(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    with _TURN:
        return hashlib.scrypt(
            passphrase.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY
        )


#: Of nobody: what an unknown user's passphrase is compared with.
_NOBODY = f"scrypt:{_N}:{_R}:{_P}:{'00' * 16}:{'00' * 64}"
