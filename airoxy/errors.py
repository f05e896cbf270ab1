"""Errors with a sentence for a human, an HTTP status for a client and an exit status for a shell.

Invariant: only what a human can act on is an AiroxyError, and its message contains no secret. It
is raised anywhere and rendered at the edges only: for a client in the server, for an operator in
`cli`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

#: Exit statuses of the command line (sysexits.h for the last).
EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG = 1, 2, 78


class AiroxyError(Exception):
    """`status`, `kind` and `details` are as in Anthropic's errors; `headers` go with them.

    `request_id` is what the client is told, the journal and the usage log show.
    """

    status = 500
    kind = "api_error"
    details: Mapping[str, str] | None = None
    exit_status = EXIT_FAILED

    def __init__(self, message: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = tuple(headers)
        self.request_id = f"req_airoxy_{os.urandom(8).hex()}"


class InvalidInput(AiroxyError):
    """What was typed or sent cannot be meant."""

    status, kind, exit_status = 400, "invalid_request_error", EXIT_USAGE


class OverLimit(AiroxyError):
    """The client key has used up what it may use; `retry-after` tells when it may again."""

    status, kind = 429, "rate_limit_error"


class OverSpend(OverLimit):
    """What it has used up is money."""

    kind = "billing_error"


class NotFound(AiroxyError):
    """No such path, key or token."""

    status, kind = 404, "not_found_error"


class ThreadNotFound(NotFound):
    """The account that has a message thread cannot go on with it; the SDKs then send all of it."""

    details: Mapping[str, str] | None = MappingProxyType({"error_code": "thread_not_found"})

    def __init__(self) -> None:
        super().__init__("The thread that this request continues is not available any more")


class Conflict(AiroxyError):
    """It is there already: a name, a token."""

    status, kind = 409, "conflict_error"


class Unauthorized(AiroxyError):
    """No valid client key; `expired` says that it was one."""

    status, kind = 401, "authentication_error"

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class Forbidden(AiroxyError):
    """Whoever asks may not see this, or may not do it."""

    status, kind = 403, "permission_error"


class TooLarge(AiroxyError):
    """The request body is above Anthropic's limit for the endpoint."""

    status, kind = 413, "request_too_large"


class AllCooling(AiroxyError):
    """Every usable token is cooling; `retry-after` tells when the first is ready."""

    status, kind = 429, "rate_limit_error"


class NoTokens(AiroxyError):
    """There is no token that could be used at all."""

    status = 503


class NotReady(AiroxyError):
    """The client keys are not known, because the database could never be read."""

    status = 503

    def __init__(self) -> None:
        super().__init__("airoxy has not been able to read its database yet; try again")


class InternalError(AiroxyError):
    """A fault in airoxy; what it is stands in the journal."""

    def __init__(self) -> None:
        super().__init__("Internal error in airoxy; see its journal.")


class ConfigError(AiroxyError):
    """The configuration has mistakes; the message lists every one, a line each."""

    exit_status = EXIT_CONFIG


class StoreError(AiroxyError):
    """The database cannot be opened or used: damaged, newer, locked, not ours."""

    status = 503


class UpstreamError(AiroxyError):
    """Anthropic did not answer as HTTP; nobody's answer can be passed on."""

    status = 502


class ConnectFailed(UpstreamError):
    """No connection: refused, no route, name not found, TLS failed, connecting took too long."""


class ConnectTimeout(ConnectFailed):
    """Another token would have to wait as long, for the same name, address and host."""


class UpstreamTimeout(UpstreamError):
    """Connected, then silent for longer than `upstream.read_timeout`."""

    status, kind = 504, "timeout_error"


class UpstreamBroken(UpstreamError):
    """The connection ended or went wrong before the answer was complete."""
