"""The TLS certificate as clients see it: validity, names and issuers; and who may read the key."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airoxy.config import Config
from airoxy.config.certificate import (
    Certificate,
    Parsed,
    own_certificate,
    parse,
    read_certificate,
)
from airoxy.errors import ConfigError

#: Certificates are renewed automatically a month before they expire; two weeks later something is
#: wrong (days).
_SOON = 14
_RENEW = "Renew it (certbot renew), then sudo airoxy reload"


@dataclass(frozen=True)
class Fault:
    """Something wrong with a certificate; `refused` is what clients cannot work with."""

    text: str
    remedy: str
    refused: bool = False


def check_certificate(
    config: Config, now: float, warn: Callable[[str], None], *, strict: bool = True
) -> None:
    """Warn of the faults of the certificate, if `tls` names one. Raises ConfigError for a pair that
    cannot be served and, if it is `strict`, for one that every client refuses."""
    certificate = read_certificate(config)
    if certificate is None:
        return
    for fault in faults(config, certificate, now):
        line = f"{fault.text} {fault.remedy.rstrip('.')}."
        if strict and fault.refused:
            raise ConfigError(f"{config.origin('tls.certificate')}: tls.certificate: {line}")
        warn(line)


def faults(config: Config, certificate: Certificate, now: float) -> Iterator[Fault]:
    """All of them."""
    found = shown(config)
    if fault := invalid(config, certificate, found, now):
        yield fault
    yield from surroundings(config, found)


def shown(config: Config) -> Parsed:
    """The certificate that clients are shown."""
    assert config.tls.certificate
    return parse(own_certificate(config.tls.certificate))


def invalid(config: Config, certificate: Certificate, found: Parsed, now: float) -> Fault | None:
    """What is wrong with its time, or with those who issued it."""
    path, until = config.tls.certificate, datetime.fromtimestamp(found.ends, UTC).date()
    if not found.begins <= now < found.ends:
        when = f"expired on {until}" if now >= found.ends else "is not valid yet"
        return Fault(f"{path} {when}.", _RENEW, refused=True)
    if found.ends - now < _SOON * 86400:
        return Fault(f"{path} is good for {', '.join(found.names)} until {until} only.", _RENEW)
    if reason := distrust(certificate, found.names):
        return Fault(f"{path}: {reason[0]}.", reason[1])
    return None


def surroundings(config: Config, found: Parsed) -> Iterator[Fault]:
    """What does not fit this machine: its names, and the rights of the key."""
    yield from _names(config, found)
    yield from _rights(config)


def distrust(certificate: Certificate, names: Sequence[str]) -> tuple[str, str] | None:
    """Why a client that trusts whom this system trusts would refuse it, and what to do. It is asked
    itself: a handshake in memory."""
    if not names:
        return "no host name is in it (subjectAltName)", "Clients refuse it; get another."
    try:
        _shake_hands(certificate, names[0].replace("*", "www", 1))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == 20:  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            text = "its issuer is neither in the file nor known to this system"
            remedy = "Put the chain behind it (certbot's fullchain.pem), or give clients the CA"
            return text, f"{remedy} (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE)."
        text = f"this system does not trust it ({error.verify_message})"
        return text, "Clients must be given it or its CA (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE)."
    return None


def _shake_hands(certificate: Certificate, name: str) -> None:
    """Raises SSLCertVerificationError."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_into(serving)
    server = serving.wrap_bio(incoming, outgoing, server_side=True)
    client = ssl.create_default_context().wrap_bio(outgoing, incoming, server_hostname=name)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def _names(config: Config, found: Parsed) -> Iterator[Fault]:
    """Clients have to come by a name that is in it."""
    known_as = dict.fromkeys([socket.getfqdn(), socket.gethostname()])
    known_as |= dict.fromkeys(each for each in config.hosts if not _is_local(each))
    if found.names and not any(map(found.covers, known_as)):
        text = f"It is for {', '.join(found.names)}, and not for {' or '.join(known_as)}."
        remedy = f"Clients need https://{found.names[0]}:{config.port}, and DNS that leads here."
        yield Fault(text, remedy)


def _rights(config: Config) -> Iterator[Fault]:
    assert config.tls.key
    mode = config.tls.key.stat().st_mode
    if mode & 0o007:
        text = f"{config.tls.key} is open to everybody (mode {stat.S_IMODE(mode):04o})."
        yield Fault(text, f"sudo chmod o= {config.tls.key}")


def _is_local(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.is_loopback or address.is_unspecified
