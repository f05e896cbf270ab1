"""TLS to the clients: protocols and ciphers, and what becomes of a handshake that fails.

Invariant: a client that cannot be served is told why, as far as it can understand it, and nothing
is logged, because anybody can send garbage. No connection waits for its client's close_notify.
"""

from __future__ import annotations

import ssl
from typing import Any

from airoxy.config.certificate import Certificate
from airoxy.errors import InvalidInput
from airoxy.server.http.errors import last_answer

#: Of TLS 1.2 what Mozilla's "intermediate" has, less finite fields; TLS 1.3 has none that is weak.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: The answer to a client that speaks plain HTTP on this port.
HINT = "This port speaks TLS; begin the base URL with https://"


def server_context(certificate: Certificate) -> TLSContext:
    """What the connections of a worker are made with."""
    context = TLSContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = Talk
    certificate.load_into(context)
    return context


class TLSContext(ssl.SSLContext):
    """A context whose connections can still say something where their handshake fails."""

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any
    ) -> ssl.SSLObject:
        talk = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(talk, Talk)
        talk.outgoing = outgoing
        return talk


class Talk(ssl.SSLObject):
    """One connection, as uvloop's transport works with it."""

    outgoing: ssl.MemoryBIO
    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """When this raises, uvloop drops what is still to be sent: OpenSSL's alert, and our hint.
        So the first failure asks for more input instead, which sends both; it is raised when the
        client sends something more, or at the handshake's time limit."""
        if self._failure:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                self.outgoing.write(last_answer(InvalidInput(HINT)))
            if not self.outgoing.pending:
                raise
            self._failure = error
            raise ssl.SSLWantReadError from None

    def unwrap(self) -> Any:
        """Sends our close_notify and does not wait for the client's, which comes only when the
        client uses its idle connection again."""
        try:
            return super().unwrap()
        except ssl.SSLWantReadError:
            return None
