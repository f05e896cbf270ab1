"""Check of the upstream: it can be reached from here, and agrees with this machine's clock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

from airoxy.cli.doctor.finding import FAIL, OK, WARN, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.system.system import SERVICE, ask, show
from airoxy.config import UpstreamSettings
from airoxy.errors import AiroxyError
from airoxy.views.times import span

#: Differences of the clock (seconds) that are warned of, and that are a failure: tokens are
#: refreshed too late, and certificates seem invalid.
_ODD, _WRONG = 60, 300
_TIMEOUT = 15.0


def upstream(installation: Installation) -> Iterator[Finding]:
    """Name, connection, TLS and HTTP work, as the service would have it; and so does the clock."""
    config = installation.config.upstream
    before = installation.context.now()
    try:
        status, date = asyncio.run(_knock(config, _environ(installation)))
    except AiroxyError as error:
        yield Finding(FAIL, f"{error.message}.", "No request can be forwarded so.")
        text = "The clock cannot be compared while upstream is out of reach."
        yield Finding(WARN, text, check="clock")
        return
    way = f", through {config.proxy}" if config.proxy else ""
    yield Finding(OK, f"{config.url} answers{way} (status {status} to a request without a key).")
    yield _clock(date, (before + installation.context.now()) / 2)


async def _knock(upstream: UpstreamSettings, environ: Mapping[str, str]) -> tuple[int, str]:
    """Status and Date of the answer to a request without a credential. Raises AiroxyError."""
    from airoxy.upstream.origin import proxy_for
    from airoxy.upstream.upstream import Upstream

    client = Upstream(
        upstream.url,
        connect_timeout=min(upstream.connect_timeout, _TIMEOUT),
        read_timeout=_TIMEOUT,
        proxy=proxy_for(upstream.url, upstream.proxy, environ),
    )
    try:
        head = [(b"host", client.host), (b"user-agent", b"airoxy-doctor")]
        answer = await client.send(b"GET", b"/v1/models", head)
        answer.abort()
    finally:
        await client.aclose()
    dates = [value.decode("latin-1") for name, value in answer.headers if name == b"date"]
    return answer.status, "".join(dates[:1])


def _environ(installation: Installation) -> Mapping[str, str]:
    """The service's environment, which may name another proxy than root's; else ours."""
    if installation.has_units:
        pid = show([SERVICE], ["MainPID"])[0].get("MainPID", "0")
        with suppress(OSError):
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            pairs = (os.fsdecode(entry).partition("=") for entry in entries if entry)
            return {name: value for name, _, value in pairs}
    return installation.context.environ


def _clock(date: str, now: float) -> Finding:
    try:
        # The header has whole seconds, cut off.
        off = now - parsedate_to_datetime(date).timestamp() - 0.5
    except ValueError:
        return Finding(WARN, "Upstream does not say what time it is.", check="clock")
    how = f"{span(abs(off))} {'ahead of' if off > 0 else 'behind'} upstream's"
    if abs(off) <= _ODD:
        return Finding(OK, "The clock agrees with upstream's.", check="clock")
    state = FAIL if abs(off) > _WRONG else WARN
    if _can_synchronise():
        remedy = "sudo timedatectl set-ntp true"
        return Finding(state, f"The clock is {how}.", remedy, _synchronise, check="clock")
    remedy = "Set it, and have NTP keep it (systemd-timesyncd or chrony)."
    return Finding(state, f"The clock is {how}.", remedy, check="clock")


def _can_synchronise() -> bool:
    status, output = ask("timedatectl", "show")
    return status == 0 and {"CanNTP=yes", "NTP=no"} <= set(output.splitlines())


def _synchronise() -> str:
    status, output = ask("timedatectl", "set-ntp", "true")
    if status:
        raise AiroxyError(output)
    return "NTP is switched on; the clock will be right in a moment."
