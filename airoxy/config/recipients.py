"""The kinds of settings that say whom to warn: mail addresses and webhooks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from airoxy.config.kinds import Texts, text_of

_ADDRESS = re.compile(r"[^\s,;<>\"'()-][^\s,;<>\"'()]{0,200}")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Whom to send mail to: addresses, or names of this machine's users."""

    wanted: str = "a list of mail addresses, or []"

    def read(self, node: yaml.Node) -> tuple[str, ...]:
        found = Texts().read(node)
        if not all(_ADDRESS.fullmatch(each) for each in found):
            raise ValueError("has something in it that is no mail address")
        return found


class HiddenUrl(str):
    """An address that is a secret itself: only its host is shown."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        parts = urlsplit(self)
        return f"{parts.scheme}://{parts.hostname}/…"

    def __repr__(self) -> str:
        return repr(self.shown)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A secret address, or the file that has it."""

    wanted: str = "an https address, or the path of a file that has one in it"
    #: What was written is not repeated in a complaint.
    is_secret: bool = True

    def read(self, node: yaml.Node) -> HiddenUrl | Path:
        text = text_of(node)
        if text.startswith("/"):
            return Path(text)
        return webhook_url(text)


def webhook_url(text: str) -> HiddenUrl:
    """Raises ValueError, without the text."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not text.isascii() or " " in text:
        raise ValueError("is neither an https address nor the path of a file")
    return HiddenUrl(text)
