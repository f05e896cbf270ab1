"""`results_url` of a batch, which names the host that the client called: to Anthropic's own the
SDKs would send the client's key."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from airoxy.core.request.headers import Headers
from airoxy.core.request.paths import BATCHES
from airoxy.server.proxy.answer.relay import AnswerSource, Held, hold_if_short

#: What stands before the path, as JSON is written.
_URL = re.compile(
    rb'("results_url"[ \t\n\r]{0,99}:[ \t\n\r]{0,99}")https?:(?:\\?/){2}[^/"\\]{1,300}'
    rb"(?=(?:\\?/)v1(?:\\?/)messages(?:\\?/)batches(?:\\?/))"
)
_HOST = re.compile(rb"[A-Za-z0-9.:\[\]_-]{1,255}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class PublicAddress:
    """Under which scheme and host clients reach airoxy."""

    has_tls: bool
    public_url: str | None
    trusted: tuple[Network, ...]

    def of(self, headers: Headers, client: tuple[str, int] | None) -> bytes | None:
        """As the client of a request called it; None where it did not say."""
        said = dict(headers)
        scheme, host = b"https" if self.has_tls else b"http", said.get(b"host", b"")
        if client is not None and self._trusts(client[0]):
            forwarded = said.get(b"x-forwarded-host", b"").split(b",")[-1].strip()
            proto = said.get(b"x-forwarded-proto", b"").split(b",")[-1].strip().lower()
            if proto in (b"http", b"https") or forwarded:
                scheme = proto if proto in (b"http", b"https") else scheme
                host = forwarded or host
                return scheme + b"://" + host if _HOST.fullmatch(host) else None
        if self.public_url:
            return self.public_url.encode()
        return scheme + b"://" + host if _HOST.fullmatch(host) else None

    def _trusts(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self.trusted)


def names_results(path: str, answer: AnswerSource) -> bool:
    """Whether an answer may have a `results_url`."""
    if path != BATCHES and not path.startswith(BATCHES + "/"):
        return False
    kind = answer.named.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return answer.status < 300 and kind == b"application/json"


async def with_own_host(answer: AnswerSource, base: bytes | None) -> AnswerSource:
    """`answer`, whose `results_url` begins with `base`. Not one byte more is changed."""
    held = await hold_if_short(answer)
    if not isinstance(held, Held):
        return held
    text = held.text()
    changed = _URL.sub(lambda found: found[1] + (base or b""), text) if base else text
    if changed == text:
        return held
    kept = (b"content-length", b"content-encoding")
    headers = [header for header in answer.headers if header[0] not in kept]
    headers.append((b"content-length", b"%d" % len(changed)))
    return Held(answer.status, headers, changed)
