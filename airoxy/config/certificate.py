"""The server's certificate and key, read together and checked against each other.

Invariant: what is returned can be served. An error names the setting, its place and the file, and
nothing else of the key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from airoxy.config import Config
from airoxy.errors import ConfigError

#: What systemd's generator calls the credentials of airoxy.service.
CERTIFICATE_CREDENTIAL, KEY_CREDENTIAL = "airoxy-tls-certificate", "airoxy-tls-key"
#: What a reload leaves in the service's RUNTIME_DIRECTORY: key and certificate, renewed together.
RENEWED = "tls.pem"

_CERTIFICATE, _KEY = "tls.certificate", "tls.key"
_BLOCK = rb"-----BEGIN (%b)-----.+?-----END \1-----"
_CERTIFICATES = re.compile(_BLOCK % b"CERTIFICATE", re.DOTALL)
_KEYS = re.compile(_BLOCK % b"[A-Z ]*PRIVATE KEY", re.DOTALL)


@dataclass(frozen=True)
class Certificate:
    """Two texts in PEM form: the certificate with its chain, and the key."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def pem(self) -> bytes:
        """Both in one, as `load_cert_chain` takes it."""
        return self.key + self.certificate

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let `context` serve with it. Raises ssl.SSLError; ssl wants a file, so it gets one that
        exists in memory only."""
        fd = os.memfd_create("airoxy-tls")
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(self.pem)
            context.load_cert_chain(f"/proc/self/fd/{fd}", password=_no_passphrase)
        finally:
            os.close(fd)


@dataclass(frozen=True)
class Parsed:
    """What a client looks at. Times are Unix seconds; names are DNS names and IP addresses."""

    begins: float
    ends: float
    names: tuple[str, ...]

    def covers(self, host: str) -> bool:
        """Whether clients accept it from a server that they know as `host`."""
        host = host.lower().rstrip(".")
        wildcard = "*." + host.partition(".")[2]
        return host in self.names or ("." in host and not _is_ip(host) and wildcard in self.names)


def read_certificate(
    config: Config, environ: Mapping[str, str] | None = None
) -> Certificate | None:
    """What `tls` names; None for plain HTTP. With `environ`, from where systemd keeps it for the
    service of that environment, if it does. Raises ConfigError."""
    certificate, key = config.tls.certificate, config.tls.key
    if certificate is None or key is None:
        return None
    # One file may hold both; of each only what it is named for is taken.
    places = _passed(environ or {}) or (certificate, key)
    found = Certificate(
        _blocks(_CERTIFICATES, _read(config, _CERTIFICATE, places[0])),
        _blocks(_KEYS, _read(config, _KEY, places[1])),
    )
    _check(config, found)
    return found


def own_certificate(path: Path) -> bytes:
    """The server's certificate, the first in the file, in DER form. Raises OSError, ValueError."""
    found = _CERTIFICATES.search(path.read_bytes())
    if not found:
        raise ValueError("no certificate")
    return ssl.PEM_cert_to_DER_cert(found[0].decode())


def parse(der: bytes) -> Parsed:
    """What there is to know of a certificate in DER form."""
    from cryptography import x509

    found = x509.load_der_x509_certificate(der)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names: list[str] = []
    else:
        names = [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]
        names += map(str, extension.value.get_values_for_type(x509.IPAddress))
    if hasattr(found, "not_valid_after_utc"):  # cryptography 42
        begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    else:
        begins = found.not_valid_before.replace(tzinfo=UTC)
        ends = found.not_valid_after.replace(tzinfo=UTC)
    return Parsed(begins.timestamp(), ends.timestamp(), tuple(names))


def is_hidden(config: Config) -> bool:
    """Whether there is TLS, and we may not look at its files."""
    for path in (config.tls.certificate, config.tls.key):
        try:
            if path is not None:
                path.open("rb").close()
        except PermissionError:
            return True
        except OSError:
            continue
    return False


def _passed(environ: Mapping[str, str]) -> tuple[Path, Path] | None:
    renewed = Path(environ.get("RUNTIME_DIRECTORY", "/nowhere"), RENEWED)
    if renewed.is_file():
        return renewed, renewed
    credentials = Path(environ.get("CREDENTIALS_DIRECTORY", "/nowhere"))
    if (credentials / KEY_CREDENTIAL).is_file():
        return credentials / CERTIFICATE_CREDENTIAL, credentials / KEY_CREDENTIAL
    return None


def _read(config: Config, setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except PermissionError:
        advice = (
            "with systemd try: sudo airoxy reload; without, let the user who runs airoxy read it"
        )
        raise _wrong(config, setting, f"may not be read; {advice}") from None
    except OSError as error:
        why = f"cannot be read ({error.strerror}); give the path of a file that is there"
        raise _wrong(config, setting, why) from error


def _blocks(kind: re.Pattern[bytes], text: bytes) -> bytes:
    return b"".join(block[0] + b"\n" for block in kind.finditer(text))


def _check(config: Config, certificate: Certificate) -> None:
    if not certificate.certificate:
        advice = "give a file in PEM form, such as certbot's fullchain.pem"
        raise _wrong(config, _CERTIFICATE, f"holds no certificate; {advice}")
    if not certificate.key:
        advice = "give a file in PEM form, such as certbot's privkey.pem"
        raise _wrong(config, _KEY, f"holds no private key; {advice}")
    try:
        certificate.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    except _Locked:
        advice = "airoxy has nobody to ask for it: openssl pkey -in KEY -out UNLOCKED"
        raise _wrong(config, _KEY, f"is locked with a passphrase; {advice}") from None
    except ssl.SSLError as error:
        raise _unusable(config, error) from None


def _unusable(config: Config, error: ssl.SSLError) -> ConfigError:
    reason = error.reason or ""
    if "MISMATCH" in reason or "ASSIGNED" in reason:
        advice = "give the pair that was made together"
        return _wrong(config, _KEY, f"does not belong to {config.tls.certificate}; {advice}")
    detail = reason.replace("_", " ").lower() or "damaged"
    return _wrong(config, _KEY, f"cannot be used with {config.tls.certificate} ({detail})")


def _wrong(config: Config, setting: str, why: str) -> ConfigError:
    place = config.origin(setting) if setting in config.lines else str(config.source)
    return ConfigError(f"{place}: {setting}: {config.value(setting)} {why}")


class _Locked(Exception):
    """OpenSSL asks for a passphrase."""


def _no_passphrase() -> bytes:
    raise _Locked


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
