"""Which headers cross, in each direction, and the credentials among them.

Invariant: what is not listed here passes as it came, in its order, as often as it came; exactly one
credential goes upstream, and no client key, wherever it stands. Names are lower-case, as the head's
parser and the upstream client give them; both refuse a line break in a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from airoxy.core.keys import Needles, has_key, needles
from airoxy.core.pool import Token

Headers = list[tuple[bytes, bytes]]

#: RFC 9110, 7.6.1, and what older software takes for such.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authentication-info proxy-authorization "
    b"proxy-connection te trailer transfer-encoding upgrade".split()
)
#: What proxies add: where the client sits, who its user is, and by which way it came; `cf-aig-…` is
#: for a gateway of Cloudflare's that may be the upstream.
_BY_PROXIES = re.compile(
    rb"(?:x-)?(?:original-)?forwarded(?:-.*)?|via|x-original-.*"
    rb"|(?:.*-)?(?:client|connecting|connection|real|remote|true|user|proxyuser|originating|source"
    rb"|src|viewer|peer|external|socket)-?(?:ipv?[46]?|addr(?:ess)?|port)"
    rb"|x-ip|(?:cf(?!-aig-)|cdn|cloudfront|x-amz-cf|x-amzn|x-azure|x-appengine|x-envoy|x-vercel|x-nf|fastly|fly"
    rb"|(?:x-)?akamai|incap|tailscale|x-auth-request|x-goog-authenticated-user|x-webauth"
    rb"|(?:x-)?ssl-client|x-client-(?:cert|dn)|x-ms-client-principal)(?:-.*)?"
    rb"|(?:x-)?remote-(?:user|name|email|groups?)"
)
#: A longer name is none of these (bytes).
_LONGEST = 64
#: Credentials and cookies are for airoxy; the body is framed anew; `expect` is answered already.
_STAY_HERE = _HOP_BY_HOP | frozenset(
    b"authorization cookie x-api-key content-length expect host x-airoxy-session".split()
)
#: What a browser says of the page that asks, which would mean airoxy's address to Anthropic.
_BY_BROWSERS = frozenset((b"origin", b"referer"))
_FETCH = b"sec-fetch-"
#: What `connection` usually says, and no header's name.
_OPTIONS = frozenset((b"keep-alive", b"close"))

_BETA, _VERSION = b"anthropic-beta", b"anthropic-version"
_OAUTH_BETAS = (b"oauth-2025-04-20", b"claude-code-20250219")
_DEFAULT_VERSION = b"2023-06-01"


def to_upstream(headers: Headers, token: Token, host: bytes) -> Headers:
    """The head of the request as Anthropic gets it: `host` first, then `token`, then the client's
    own. Without content-length or transfer-encoding, since the upstream client frames the body."""
    return [(b"host", host), credential_for(token), *passed_to_upstream(headers, token.type)]


def passed_to_upstream(headers: Headers, token_type: str, *, browsers: bool = False) -> Headers:
    """The client's own headers as they go with a token of that type; `browsers`: less what they
    say of their page."""
    passed = [
        header for header in headers if header[0] not in _STAY_HERE and not _is_by_proxy(header[0])
    ]
    if browsers:
        passed = [
            header
            for header in passed
            if header[0] not in _BY_BROWSERS and not header[0].startswith(_FETCH)
        ]
    passed = _without(passed, _named_by_connection(headers))
    own = needles(credential(headers))
    if has_key(b"\n".join([part for header in passed for part in header]), own):
        passed = [header for header in passed if not has_key(b"\n".join(header), own)]
    return _as_claude_code(passed) if token_type == "oauth" else passed


def credential_for(token: Token, *, bearer: bool = False) -> tuple[bytes, bytes]:
    """The header that has the token's secret; `bearer` is for an endpoint that takes no other."""
    secret = token.secret.encode(errors="replace")
    if bearer or token.type == "oauth":
        return b"authorization", b"Bearer " + secret
    return b"x-api-key", secret


def is_forwarded(headers: Headers) -> bool:
    """Whether a proxy says that it has this request from somebody else."""
    return any(_is_by_proxy(name) for name, _ in headers)


def to_client(headers: Headers, named: Mapping[bytes, bytes]) -> Headers:
    """The headers of an answer as the client gets them; content-length and cookies stay. `named`
    are the same by their names."""
    hops = _HOP_BY_HOP.intersection(named)
    if not hops:
        return headers
    if len(named) == len(headers) and named.get(b"connection", b"close") in _OPTIONS:
        passed = headers.copy()
        for name in hops:
            passed.remove((name, named[name]))
        return passed
    passed = [header for header in headers if header[0] not in _HOP_BY_HOP]
    return _without(passed, _named_by_connection(headers))


def credential(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The keys that a client offers: all of `x-api-key`, then all of `Authorization: Bearer`."""
    keys, bearers = [], []
    for name, value in headers:
        if name == b"x-api-key":
            keys.append(value.strip())
        elif name == b"authorization":
            scheme, *rest = value.split(None, 1) or [b""]
            if scheme.lower() == b"bearer" and rest:
                bearers.append(rest[0].strip())
    # Any byte is a character of Latin-1; a key with odd ones is merely unknown.
    return [key.decode("latin-1") for key in keys + bearers if key]


def query_to_upstream(query: bytes, own: Needles = ()) -> bytes:
    """The query as it came, but for parameters that have a client key in them."""
    parameters = query.split(b"&")
    passed = [each for each in parameters if not has_key(each, own)]
    return query if len(passed) == len(parameters) else b"&".join(passed)


@lru_cache(maxsize=256)  # there are few, and one can be as long as a head
def _is_by_proxy(name: bytes) -> bool:
    return len(name) <= _LONGEST and _BY_PROXIES.fullmatch(name) is not None


def _named_by_connection(headers: Headers) -> set[bytes]:
    values = [value for name, value in headers if name == b"connection" and value not in _OPTIONS]
    return {option.strip().lower() for value in values for option in value.split(b",")}


def _without(headers: Headers, names: set[bytes]) -> Headers:
    return [header for header in headers if header[0] not in names] if names else headers


def _as_claude_code(headers: Headers) -> Headers:
    """With the flags that a subscription token needs, after the client's own; and a version."""
    last, missing, version = -1, list(_OAUTH_BETAS), False
    for at, (name, value) in enumerate(headers):
        if name == _BETA:
            flags = [flag.strip() for flag in value.split(b",")]
            last, missing = at, [flag for flag in missing if flag not in flags]
        elif name == _VERSION:
            version = True
    if missing and last >= 0:
        value = headers[last][1]
        headers[last] = (_BETA, b",".join((value, *missing) if value.strip() else missing))
    elif missing:
        headers.append((_BETA, b",".join(missing)))
    if not version:
        headers.append((_VERSION, _DEFAULT_VERSION))
    return headers
