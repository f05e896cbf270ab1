"""Encryption of the tokens at rest, under a key that is not in the database.

Invariant: all encrypted values are under one key, which `token_key.name` identifies without
revealing it. While the key is being changed, the new one is stored encrypted under the old one
(`handed_on`), so that either of them reads everything at every moment. A value that cannot be
decrypted is kept.

The key comes from systemd as a credential, or from a command of root's as `key`; otherwise it is in
the file `token.key` beside the database, made when the first token is stored. SQL has functions:
`seal` (encrypt), `unseal` (decrypt; NULL for what is damaged), `fingerprint`, by which equal
secrets are found, `masked` and `key_fits`. The key is looked for when it is first needed, and
cryptography, which takes longer to import than most commands to run, is imported then.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

from airoxy.core.keys import mask
from airoxy.errors import StoreError
from airoxy.store.key_file import KEY_FILE, KEY_SIZE, make_key_file, read_key

#: What the credential is called, in the units and in systemd's store.
CREDENTIAL = "airoxy-token-key"

#: How an encrypted value begins; no token does.
_SEALED = "sealed:"
_NONCE = 12


def attach(db: apsw.Connection, path: Path, key: bytes | None = None) -> Encryption:
    """Give the connection to the database at `path` the functions that its SQL uses."""
    encryption = Encryption(db, path, key)
    functions: dict[str, Any] = {
        "seal": encryption.seal,
        "unseal": encryption.unseal,
        "fingerprint": encryption.fingerprint,
        "masked": encryption.masked,
    }
    for name, function in functions.items():
        db.createscalarfunction(name, function, 1)
    db.createscalarfunction("key_fits", lambda *_: int(encryption.key_fits()), 0)
    return encryption


class Encryption:
    """The encryption of one connection. Raises StoreError where the key cannot be found."""

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        key: bytes | None = None,
    ) -> None:
        # Weak: a connection that is in a circle of references is not closed when it is dropped.
        self._db = weakref.ref(db)
        self._path = path
        self._given = key
        self._known: dict[bytes, bytes] = {}

    # The functions of SQL

    def seal(self, secret: str | None) -> str | None:
        if secret is None or secret.startswith(_SEALED):
            return secret
        return encrypt(self.key(), secret)

    def unseal(self, sealed: str | None) -> str | None:
        return None if sealed is None else decrypt(self.key(), sealed)

    def fingerprint(self, secret: str | None) -> bytes | None:
        secret = self._plain(secret)
        return None if secret is None else _derive(self.key(), "fingerprint", secret.encode())

    def masked(self, secret: str | None) -> str | None:
        secret = self._plain(secret)
        return None if secret is None else mask(secret)

    def key_fits(self) -> bool:
        """Whether encrypted values can be decrypted."""
        name, handed_on = self._state()
        return name is None or self._find(name, handed_on) is not None

    def _plain(self, secret: str | None) -> str | None:
        return self.unseal(secret) if secret and secret.startswith(_SEALED) else secret

    # The key

    def key(self) -> bytes:
        """The key in force; where nothing is encrypted yet, one that is found, or a new one."""
        name, handed_on = self._state()
        key = self._find(name, handed_on) if name else None
        if key is None:
            if name and self._execute("SELECT 1 FROM tokens WHERE token GLOB 'sealed:*' LIMIT 1"):
                raise StoreError(self._missing())
            key = next(self._found_keys(), None) or make_key_file(self.file)
            self._execute("UPDATE token_key SET name = ?, handed_on = NULL", name_of(key))
        self._known[name_of(key)] = key
        return key

    def find(self, name: bytes) -> bytes | None:
        """The key of this name, if it is here, whether it is in force or not."""
        return next((key for key in self._found_keys() if name_of(key) == name), None)

    @property
    def database(self) -> apsw.Connection:
        db = self._db()
        assert db
        return db

    @property
    def file(self) -> Path:
        return self._path.with_name(KEY_FILE)

    def rotate(self) -> None:
        """Encrypt everything under a new key, and that under the old one: until `finish`, either
        will do. A change that is under way is left as it is."""
        self._execute("BEGIN IMMEDIATE")
        try:
            if self._state()[1] is None:
                self.adopt(secrets.token_bytes(KEY_SIZE))
            self._execute("COMMIT")
        except BaseException:
            self._execute("ROLLBACK")
            raise

    def adopt(self, new: bytes) -> None:
        """The same with this key, in the caller's transaction."""
        old = self.key()
        rows = self._execute("SELECT id, unseal(token), unseal(refresh_token) FROM tokens")
        self._execute(
            "UPDATE token_key SET name = ?, handed_on = ?", name_of(new), encrypt(old, new.hex())
        )
        self._known[name_of(new)] = new
        for number, token, refresh in rows:
            # What could not be decrypted stays as it is.
            self._execute(
                "UPDATE tokens SET token = ifnull(seal(?1), token),"
                " token_digest = ifnull(fingerprint(?1), token_digest),"
                " refresh_token = ifnull(seal(?2), refresh_token),"
                " refresh_digest = ifnull(fingerprint(?2), refresh_digest) WHERE id = ?3",
                token,
                refresh,
                number,
            )

    def finish(self) -> bool:
        """From now on the old key decrypts nothing; False while a token is being refreshed by a
        process that may have only that one."""
        return bool(
            self._execute(
                "UPDATE token_key SET handed_on = NULL WHERE NOT EXISTS (SELECT 1 FROM tokens"
                " WHERE refreshing_until > unixepoch()) RETURNING 1"
            )
        )

    def under_way(self) -> bool:
        """Whether a change of the key has not been finished."""
        return self._state()[1] is not None

    def _state(self) -> tuple[bytes | None, str | None]:
        ((name, handed_on),) = self._execute("SELECT name, handed_on FROM token_key")
        return name, handed_on

    def _find(self, name: bytes, handed_on: str | None) -> bytes | None:
        if name in self._known:
            return self._known[name]
        for key in self._found_keys():
            if name_of(key) == name:
                return key
            successor = decrypt(key, handed_on) if handed_on else None
            if successor and name_of(bytes.fromhex(successor)) == name:
                return bytes.fromhex(successor)
        return None

    def _found_keys(self) -> Iterator[bytes]:
        """Every key that may be the one."""
        if self._given:
            yield self._given
        if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
            yield from read_key(Path(directory, CREDENTIAL))
        yield from read_key(self.file)

    def _missing(self) -> str:
        return (
            f"The tokens in {self._path} are encrypted, and their key cannot be found (systemd's"
            f" credential {CREDENTIAL}, or {self.file}). Put it back; or, if it is lost, remove the"
            " tokens (`airoxy token remove ID`) and add them again."
        )

    def _execute(self, sql: str, *values: Any) -> list[Any]:
        return self.database.cursor().execute(sql, values).fetchall()


def name_of(key: bytes) -> bytes:
    """Tells keys apart, and gives nothing away."""
    return _derive(key, "name")[:16]


def encrypt(key: bytes, text: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    sealed = nonce + AESGCM(_derive(key, "seal")).encrypt(nonce, text.encode(), None)
    return _SEALED + base64.b64encode(sealed).decode()


def decrypt(key: bytes, sealed: str) -> str | None:
    """None for what is damaged, or encrypted under another key."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with suppress(InvalidTag, ValueError):
        data = base64.b64decode(sealed.removeprefix(_SEALED), validate=True)
        return AESGCM(_derive(key, "seal")).decrypt(data[:_NONCE], data[_NONCE:], None).decode()
    return None


def _derive(key: bytes, purpose: str, data: bytes = b"") -> bytes:
    return hmac.digest(key, b"airoxy " + purpose.encode() + b"\0" + data, hashlib.sha256)
