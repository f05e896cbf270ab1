"""The ways by which a warning reaches the operator: mail, a webhook, a command.

Invariant: nothing that goes wrong repeats a webhook's address, which is a secret.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from airoxy import __version__
from airoxy.config import Notify
from airoxy.config.recipients import webhook_url

SENDMAIL = "/usr/sbin/sendmail"
#: For a program, and for the webhook in all (seconds).
_PROGRAM, _WEBHOOK = 60.0, 15.0

Document = dict[str, Any]


def send(way: str, settings: Notify, document: Document, sendmail: str = SENDMAIL) -> str | None:
    """Send it by one of `settings.ways`; why that came to nothing, or None."""
    if way == "mail":
        mail = _message(settings.mail, document)
        return _run([sendmail, "-oi", "--", *settings.mail], bytes(mail))
    if way == "webhook":
        return _post(settings.webhook, document)
    if settings.command is None:
        return None
    try:
        words = shlex.split(settings.command)
    except ValueError:
        return "notify.command has a quotation mark that is never closed"
    return _run(words, json.dumps(document).encode() + b"\n")


def _message(to: tuple[str, ...], document: Document) -> EmailMessage:
    message = EmailMessage()
    message["To"] = ", ".join(to)
    message["Subject"] = f"airoxy on {document['host']}: {document['event'].replace('_', ' ')}"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{document['text']}\n\n-- \nairoxy {__version__} on {document['host']}\n")
    return message


def _run(words: list[str], text: bytes) -> str | None:
    try:
        # What it prints is for people, and must not come between the JSON of `notify test`.
        done = subprocess.run(words, input=text, timeout=_PROGRAM, check=False, stdout=2)
    except subprocess.TimeoutExpired:
        return f"{words[0]} has not ended after {_PROGRAM:.0f} seconds"
    except OSError as error:
        hint = (
            "; apt install a mail transport agent, such as postfix" if words[0] == SENDMAIL else ""
        )
        return f"{words[0]}: {error.strerror}{hint}"
    return f"{words[0]} ended with status {done.returncode}" if done.returncode else None


def _post(webhook: str | Path | None, document: Document) -> str | None:
    try:
        if isinstance(webhook, Path):
            webhook = webhook_url(webhook.read_text().strip())
    except OSError as error:
        return f"{webhook}: {error.strerror}"
    except ValueError:
        return f"{webhook} has no address in it"
    try:
        answer = httpx.post(str(webhook), json=document, timeout=_WEBHOOK)
    except httpx.TimeoutException:
        return "the webhook has not answered in time"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return f"the webhook cannot be reached ({type(error).__name__})"
    return None if answer.is_success else f"the webhook answers {answer.status_code}"
