"""Check of the TLS certificate, and of who may read its key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.system.certificate import Fault, invalid, shown, surroundings
from airoxy.config.certificate import read_certificate


def certificate(installation: Installation) -> Iterator[Finding]:
    """What clients are shown is in order. Without TLS there is nothing to look at."""
    config = installation.config
    pair = read_certificate(config)
    if pair is None:
        return
    found = shown(config)
    if fault := invalid(config, pair, found, installation.context.now()):
        yield _finding(fault)
    else:
        until = datetime.fromtimestamp(found.ends, UTC).date()
        yield Finding(OK, f"The certificate is good for {', '.join(found.names)} until {until}.")
    yield from map(_finding, surroundings(config, found))


def _finding(fault: Fault) -> Finding:
    return Finding(FAIL if fault.refused else WARN, fault.text, fault.remedy)
