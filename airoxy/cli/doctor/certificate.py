"""Checks of the TLS certificate: validity, names and issuers, and who may read the key."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation
from airoxy.config import Config
from airoxy.config.certificate import Certificate, own_certificate, read_certificate

#: Certificates are renewed automatically a month before they expire; two weeks later something is
#: wrong (days).
_SOON = 14
_RENEW = "Renew it (certbot renew), then sudo airoxy reload"


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


def certificate(installation: Installation) -> Iterator[Finding]:
    """What clients are shown is in order. Without TLS there is nothing to look at."""
    config = installation.config
    certificate = read_certificate(config)
    if certificate is None:
        return
    assert config.tls.certificate
    found = parse(own_certificate(config.tls.certificate))
    now = installation.context.now()
    until = datetime.fromtimestamp(found.ends, UTC).date()
    good = f"for {', '.join(found.names)} until {until}"
    if not found.begins <= now < found.ends:
        when = f"expired on {until}" if now >= found.ends else "is not valid yet"
        yield Finding(FAIL, f"{config.tls.certificate} {when}.", _RENEW)
    elif found.ends - now < _SOON * 86400:
        yield Finding(WARN, f"{config.tls.certificate} is good {good} only.", _RENEW)
    elif fault := distrust(certificate, found.names):
        yield Finding(WARN, f"{config.tls.certificate}: {fault[0]}.", fault[1])
    else:
        yield Finding(OK, f"The certificate is good {good}.")
    yield from _names(config, found)
    yield from _rights(config)


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


def _names(config: Config, found: Parsed) -> Iterator[Finding]:
    """Clients have to come by a name that is in it."""
    known_as = dict.fromkeys([socket.getfqdn(), socket.gethostname()])
    known_as |= dict.fromkeys(each for each in config.hosts if not _is_local(each))
    if found.names and not any(map(found.covers, known_as)):
        text = f"It is for {', '.join(found.names)}, and not for {' or '.join(known_as)}."
        remedy = f"Clients need https://{found.names[0]}:{config.port}, and DNS that leads here."
        yield Finding(WARN, text, remedy)


def _rights(config: Config) -> Iterator[Finding]:
    assert config.tls.key
    mode = config.tls.key.stat().st_mode
    if mode & 0o007:
        text = f"{config.tls.key} is open to everybody (mode {stat.S_IMODE(mode):04o})."
        yield Finding(WARN, text, f"sudo chmod o= {config.tls.key}")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.is_loopback or address.is_unspecified
