"""The kinds of value a setting can have: how each is read from YAML, and described.

A value is taken as it was written: YAML 1.1 makes `on` a truth value, `010` eight and `1:30`
ninety, which nobody means, so it is refused. `read` raises ValueError with the reason only; the
caller knows the place, the key and what is `wanted` instead.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


class Kind(Protocol):
    """What a setting's value may be."""

    @property
    def wanted(self) -> str:
        """What to write, as the object of "give"."""

    def read(self, node: yaml.Node) -> object:
        """The value; ValueError says what is wrong with what was written."""


def is_null(node: yaml.Node) -> bool:
    """Whether nothing, `null` or `~` stands there."""
    return bool(node.tag == _TAG + "null")


def shown(node: yaml.Node) -> str:
    """What was written, with what YAML makes of it where that surprises; never a credential."""
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    if is_null(node):
        return "an empty value"
    text: str = node.value if len(node.value) <= 60 else node.value[:59] + "…"
    if "sk-ant-" in text or "@" in text:
        text = "what is written"
    if not text.isprintable():
        text = ascii(text)
    if node.tag == _TAG + "bool":
        return f"{text} (to YAML a truth value)"
    return f'"{text}"' if node.style in ("'", '"') else text


def _scalar(node: yaml.Node, tags: tuple[str, ...], refusal: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag.removeprefix(_TAG) not in tags:
        raise ValueError(refusal)
    return str(node.value)


def _digits(node: yaml.Node, tags: tuple[str, ...], form: re.Pattern[str], noun: str) -> str:
    quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
    text = _scalar(node, tags, "is text, because of the quotes" if quoted else f"is not {noun}")
    if not form.fullmatch(text):
        raise ValueError(f"is not {noun} in plain digits")
    return text


def text_of(node: yaml.Node) -> str:
    """A line of text. Raises ValueError."""
    value = _scalar(node, ("str",), "is not text")
    if not value.strip():
        raise ValueError("is empty")
    if not value.isprintable():
        raise ValueError("has a line break or another invisible character")
    return value


def items_of(node: yaml.Node) -> Iterable[yaml.Node]:
    """Those of a list, which may be empty or not there. Raises ValueError."""
    if is_null(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("is not a list")
    items: list[yaml.Node] = node.value
    return items


def path_of(node: yaml.Node) -> str:
    """A path from the root on. Raises ValueError."""
    text = text_of(node)
    if not text.startswith("/"):
        raise ValueError("does not begin with /")
    return text


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in decimal digits."""

    least: int
    most: int
    unit: str = ""

    @property
    def wanted(self) -> str:
        return f"a whole number{self.unit and ' of ' + self.unit} from {self.least} to {self.most}"

    def read(self, node: yaml.Node) -> int:
        text = _digits(node, ("int",), _WHOLE, "a whole number")
        if len(text) > 12 or not self.least <= int(text) <= self.most:
            raise ValueError("is out of range")
        return int(text)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number above 0, with or without decimals: a share of a whole, or of some `unit`."""

    most: int = 1
    unit: str = ""

    @property
    def wanted(self) -> str:
        return f"a number{self.unit and ' of ' + self.unit} above 0, at most {self.most}"

    def read(self, node: yaml.Node) -> float:
        text = _digits(node, ("int", "float"), _DECIMAL, "a number")
        if not 0 < float(text) <= self.most:
            raise ValueError("is out of range")
        return float(text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def wanted(self) -> str:
        return " or ".join(self.words)

    def read(self, node: yaml.Node) -> str:
        text = _scalar(node, ("str",), "is none of the choices")
        if text not in self.words:
            raise ValueError("is none of the choices")
        return text


@dataclass(frozen=True, slots=True)
class Switch:
    """true or false."""

    wanted: str = "true or false"

    def read(self, node: yaml.Node) -> bool:
        text = _scalar(node, ("bool",), "is neither true nor false")
        return text.lower() in ("true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text."""

    wanted: str = "a line of text (in quotes, to be safe)"

    def read(self, node: yaml.Node) -> str:
        return text_of(node)


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of lines of text."""

    wanted: str = "a list of lines of text, or []"

    def read(self, node: yaml.Node) -> tuple[str, ...]:
        return tuple(map(_listed_text, items_of(node)))


def _listed_text(node: yaml.Node) -> str:
    try:
        return text_of(node)
    except ValueError as error:
        raise ValueError(f"has {shown(node)} in it, which {error}") from None


@dataclass(frozen=True, slots=True)
class Host:
    """An address to listen on. Names are refused: systemd's sockets take none, and at boot there
    is nobody to ask for their address."""

    wanted: str = "an IP address in quotes, localhost for both loopback addresses"

    def read(self, node: yaml.Node) -> str:
        # Some IPv6 addresses are whole numbers to base 60 in YAML, hence int.
        text = _scalar(node, ("str", "int"), "is not an address")
        if text == "localhost":
            return text
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                return socket.inet_ntop(family, socket.inet_pton(family, text))
            except (OSError, ValueError):
                continue
        raise ValueError("is not an IP address")


@dataclass(frozen=True, slots=True)
class Networks:
    """A list of networks as CIDR; an address alone is a network of one."""

    wanted: str = 'a list of networks like ["192.0.2.0/24", "2001:db8::/32"], or []'

    def read(self, node: yaml.Node) -> tuple[str, ...]:
        return tuple(map(_network, items_of(node)))


def _network(node: yaml.Node) -> str:
    import ipaddress  # where there is one to read

    # Some IPv6 addresses are whole numbers to base 60 in YAML, hence int; 10.1 is a number, too.
    text = _scalar(node, ("str", "int"), f"has {shown(node)} in it, which is not a network")
    try:
        network = ipaddress.ip_network("" if "%" in text else text, strict=False)
    except ValueError:
        raise ValueError(f"has {shown(node)} in it, which is not a network") from None
    if ipaddress.ip_interface(text).ip != network.network_address:
        raise ValueError(f"has {shown(node)} in it, which is an address in {network}")
    return str(network)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory, named from the root on."""

    wanted: str = "the whole path of a directory, beginning with /"

    def read(self, node: yaml.Node) -> Path:
        text = path_of(node)
        if any(character in text for character in '"\\') or not text.isprintable():
            raise ValueError("has a character that no unit of systemd's takes")
        return Path(text)


@dataclass(frozen=True, slots=True)
class AbsolutePath:
    """A file, named from the root on."""

    wanted: str = "the whole path of a file, beginning with /"

    def read(self, node: yaml.Node) -> Path:
        text = path_of(node)
        if text.endswith(("/", "/.", "/..")):
            raise ValueError("is a directory")
        return Path(text)
