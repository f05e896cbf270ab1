"""`airoxy doctor`: checks of everything that can be wrong, with repairs where there are some.

Invariant: a check that fails itself is a finding too, and keeps no other from running.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter

from airoxy.cli.command import Command, Context
from airoxy.cli.doctor.finding import FAIL, FIXED, OK, WARN, Check, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.parsing.arguments import JSON, flag
from airoxy.cli.parsing.modules import load
from airoxy.cli.system.system import SERVICE, SOCKET
from airoxy.errors import EXIT_FAILED, AiroxyError


def checks() -> tuple[Check, ...]:
    """Every check, causes before consequences: what one repairs is in order for those after it."""
    from airoxy.cli.doctor import (
        backups,
        certificate,
        database,
        encryption,
        files,
        network,
        pool,
        port,
        program,
        units,
    )

    return (
        Check("packages", program.packages),
        Check("package", program.package, _is_packaged),
        Check("configuration", program.configuration),
        Check("certificate", certificate.certificate),
        Check("user", files.user, _is_packaged),
        Check("directory", files.directory),
        Check("database file", files.database),
        Check("disk", files.disk),
        Check("database", database.soundness),
        Check("migrations", database.migrations, database.usable),
        Check("token key", encryption.key, database.usable),
        Check("backups", backups.nightly),
        Check("units", units.definitions),
        Check("port", port.strangers, _has_units),
        Check("socket", partial(units.unit, SOCKET), _has_units),
        Check("addresses", port.addresses, _has_units),
        Check("sandbox", units.sandbox, _has_units),
        Check("service", partial(units.unit, SERVICE), _has_units),
        Check("timers", units.timers, _has_units),
        Check("health", port.health),
        Check("keys", pool.keys),
        Check("tokens", pool.tokens),
        Check("upstream", network.upstream),
        *(check for module in load() for check in getattr(module, "CHECKS", ())),
    )


_is_packaged, _has_units = attrgetter("packaged"), attrgetter("has_units")


def _run(context: Context, args: Namespace) -> int:
    installation = Installation(context)
    if installation.packaged and os.geteuid() != 0:
        raise AiroxyError("Only root may look at everything: sudo airoxy doctor")
    findings = []
    for finding in examine(installation, checks(), repair=args.fix):
        findings.append(finding)
        if not args.json:
            context.say(line(finding))
    if args.json:
        context.json([document(finding) for finding in findings])
    else:
        context.say(summary(findings))
    return EXIT_FAILED if any(finding.state == FAIL for finding in findings) else 0


def examine(
    installation: Installation, checks: Sequence[Check], *, repair: bool
) -> Iterator[Finding]:
    """What the checks find, and with `repair` what became of what could be repaired."""
    for check in checks:
        found = _look(check, installation)
        if repair and any(finding.fix for finding in found):
            done = [_repair(finding) for finding in found if finding.fix]
            known = {finding.text for finding in done}
            again = (replace(finding, fix=None) for finding in _look(check, installation))
            rest = (each for each in again if each.state != OK and each.text not in known)
            found = [*done, *rest]
        yield from (replace(finding, check=finding.check or check.name) for finding in found)


def _look(check: Check, installation: Installation) -> list[Finding]:
    try:
        return list(check.look(installation)) if check.when(installation) else []
    except AiroxyError as error:
        return [Finding(FAIL, error.message)]
    except OSError as error:
        return [Finding(FAIL, f"{error.filename}: {error.strerror}.")]
    except Exception as error:  # see the invariant above
        return [Finding(FAIL, f"The check itself failed ({type(error).__name__}: {error}).")]


def _repair(finding: Finding) -> Finding:
    assert finding.fix
    try:
        return Finding(FIXED, finding.fix(), check=finding.check)
    except Exception as error:  # see the invariant above
        why = error.message if isinstance(error, AiroxyError) else repr(error)
        remedy = f"{finding.remedy} Could not be repaired: {why}"
        return replace(finding, remedy=remedy.lstrip(), fix=None)


def line(finding: Finding) -> str:
    """The finding as people read it."""
    message = " → ".join(filter(None, (finding.text, finding.remedy)))
    return f"{finding.state:5}  {finding.check:13}  {message}"


def document(finding: Finding) -> dict[str, object]:
    """The finding as programs read it."""
    return {
        "check": finding.check,
        "state": finding.state.lower(),
        "text": finding.text,
        "remedy": finding.remedy,
        "fixable": finding.fix is not None,
    }


def summary(findings: list[Finding]) -> str:
    """What to do about all of it."""
    states = {state: _names(findings, state) for state in (FAIL, WARN, FIXED)}
    parts = []
    if states[FIXED]:
        parts.append(f"Repaired: {states[FIXED]}.")
    if states[FAIL]:
        parts.append(f"Wrong: {states[FAIL]}.")
    if states[WARN]:
        parts.append(f"To be looked at: {states[WARN]}.")
    if any(finding.fix for finding in findings):
        parts.append("`sudo airoxy doctor --fix` repairs what it can.")
    return "\n" + (" ".join(parts) or "All is well.")


def _names(findings: list[Finding], state: str) -> str:
    return ", ".join(dict.fromkeys(each.check for each in findings if each.state == state))


COMMANDS = (
    Command(
        "doctor",
        "Check what can be wrong with airoxy, and repair it with --fix",
        _run,
        (flag("--fix", "repair what can be repaired"), JSON),
        "Check what can be wrong with airoxy, one line each: ok, warn or FAIL, and what"
        " to do. With --fix what can be repaired is, and what is in order stays as it is. The exit"
        " status is 1 when something is wrong, not for warnings.",
    ),
)
