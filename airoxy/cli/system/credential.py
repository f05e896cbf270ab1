"""The key to the tokens as a credential of systemd's, encrypted for this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from airoxy import files
from airoxy.errors import StoreError

#: Where systemd looks for `LoadCredentialEncrypted=airoxy-token-key`.
SEALED_KEY = Path("/etc/credstore.encrypted/airoxy-token-key")


def system_key(place: Path = SEALED_KEY) -> bytes | None:
    """The key that systemd gives the services, for root; else None."""
    if os.geteuid() != 0 or not place.exists():
        return None
    from airoxy.store.key_file import parse_key

    done = _systemd_creds("decrypt", str(place), "-")
    return parse_key(done.stdout) if done.returncode == 0 else None


def store_system_key(key: bytes, place: Path) -> None:
    """Encrypted for this machine, with its TPM where there is one. Raises StoreError."""
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with files.written(place) as unfinished:
        # No PCRs: a firmware update must not cost the tokens.
        done = _systemd_creds("encrypt", "--tpm2-pcrs=", "-", str(unfinished), given=key.hex())
        if done.returncode:
            raise StoreError(f"systemd-creds cannot keep the key: {done.stderr.strip()}")


def _systemd_creds(
    verb: str, *words: str, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = ["systemd-creds", verb, f"--name={SEALED_KEY.name}", *words]
    try:
        return subprocess.run(
            command, check=False, input=given, capture_output=True, text=True, umask=0o077
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
