"""Logging to standard error: for the journal with systemd's priorities, for a terminal without; and
what commands tell the journal, whose standard error is their user's.

Modules log by `logging.getLogger(__name__)`; what is about one request passes its id along as
`extra=about(request_id)`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

#: What `log_level` may be, in the words of the configuration.
LEVELS = ("debug", "info", "warning", "error")

#: Where the journal, or another syslog, takes what commands tell.
SYSLOG = Path("/dev/log")
#: A service's notice, in syslog's numbers: facility 3, severity 5.
_NOTICE = 3 * 8 + 5


def send(lines: Iterable[str], address: Path = SYSLOG) -> None:
    """Put each line into the journal as a notice of airoxy's; where there is none, nowhere."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.connect(os.fspath(address))
        for line in lines:
            syslog.send(f"<{_NOTICE}>airoxy[{os.getpid()}]: {line}".encode())


def set_up(level: str = "info", stream: TextIO | None = None) -> None:
    """Log to `stream` (standard error) from `level` on; called again, it changes both.

    Of libraries only warnings are logged, whatever the level: httpcore's debugging shows headers.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(priorities=is_journal(stream, os.environ)))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("airoxy").setLevel(level.upper())


def about(request_id: str | None) -> dict[str, object]:
    """The `extra` of a record that is about one request."""
    return {"request_id": request_id}


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is what JOURNAL_STREAM names as DEVICE:INODE. Children inherit the variable
    even where their standard error goes elsewhere (systemd.exec(5))."""
    try:
        file = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"


class LineFormatter(logging.Formatter):
    """With `priorities` every line has one, those of a traceback too: each is an entry of its own
    in the journal (sd-daemon(3))."""

    def __init__(self, *, priorities: bool) -> None:
        super().__init__()
        self._priorities = priorities

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        """The message and the id of the request that it is about."""
        request_id = getattr(record, "request_id", None)
        return f"{record.message} [{request_id}]" if request_id else record.message

    def format(self, record: logging.LogRecord) -> str:
        """All lines of a record."""
        text = super().format(record)
        if not self._priorities:
            return text
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in text.split("\n"))


def _priority(level: int) -> int:
    """syslog's number for one of logging's levels."""
    if level >= logging.CRITICAL:
        return 2
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7
