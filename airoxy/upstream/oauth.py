"""The exchange of a refresh token for a new pair, over HTTP; core.oauth interprets the answer.

Invariant: every failure is an answer (core.oauth.Unavailable). Nothing is raised, and nothing is
repeated, because a refresh token works once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator

import httpx

from airoxy.config import OAuth
from airoxy.core.oauth import Answer, Unavailable, clean, payload, read_answer
from airoxy.errors import ConfigError
from airoxy.upstream.dial import default_tls
from airoxy.upstream.origin import parse_proxy, proxy_for

#: For the whole exchange and for each step of it; the endpoint answers within a second.
TIMEOUT = 30.0

#: The answer is a kilobyte or two.
_ANSWER_LIMIT = 64 * 1024


def refresh(
    oauth: OAuth,
    refresh_token: str,
    clock: Callable[[], float] = time.time,
    sending: Callable[[], None] = lambda: None,
) -> Answer:
    """Ask `oauth.endpoint` once. Blocks for up to a minute at the very worst. `sending` is called
    before the refresh token is sent."""
    try:
        with _client(oauth) as client:
            status, headers, body = _post(client, oauth, refresh_token, sending)
    except httpx.TimeoutException:
        return Unavailable(f"the OAuth endpoint did not answer within {TIMEOUT:g} seconds")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ConfigError) as error:
        said = clean(str(error) or type(error).__name__, refresh_token)
        return Unavailable(f"the OAuth endpoint cannot be reached: {said}")
    return read_answer(status, body, headers.get("retry-after"), refresh_token, clock())


def _client(oauth: OAuth) -> httpx.Client:
    """The same proxy and the same authorities as for requests, whatever httpx would choose."""
    proxy = proxy_for(oauth.endpoint, oauth.proxy, os.environ)
    if proxy is not None:
        parse_proxy(proxy)
    transport = httpx.HTTPTransport(
        verify=default_tls(), proxy=httpx.Proxy(proxy) if proxy else None, trust_env=False
    )
    return httpx.Client(transport=transport, timeout=TIMEOUT, trust_env=False)


def _post(
    client: httpx.Client, oauth: OAuth, refresh_token: str, sending: Callable[[], None]
) -> tuple[int, httpx.Headers, bytes]:
    deadline = time.monotonic() + TIMEOUT
    document = json.dumps(payload(oauth.client_id, oauth.scope, refresh_token)).encode()
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(document)),
    }
    body = b""

    def asked() -> Iterator[bytes]:
        sending()  # there is a connection, and the head was sent
        yield document

    with client.stream("POST", oauth.endpoint, content=asked(), headers=headers) as response:
        for piece in response.iter_bytes():
            body += piece
            if len(body) > _ANSWER_LIMIT:
                raise httpx.DecodingError("its answer is far too long")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("its answer takes too long")
        return response.status_code, response.headers, body
