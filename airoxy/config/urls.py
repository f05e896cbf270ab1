"""The kinds of settings that are URLs: of a service, of a proxy, of a database."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from airoxy.config.kinds import text_of


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https address without credentials, query and fragment; less a slash at its end."""

    wanted: str = "an address like https://api.anthropic.com"

    def read(self, node: yaml.Node) -> str:
        text = text_of(node)
        if not text.isascii() or " " in text:
            raise ValueError("has a character that no URL has")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError("is not a URL") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("is not an http or https URL")
        if "@" in parts.netloc:
            raise ValueError("has a user name or password in it")
        if "?" in text or "#" in text:
            raise ValueError("has a query or a fragment")
        return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class ProxyUrl:
    """The http address of an HTTP proxy. Without a password: everybody may read the file."""

    wanted: str = "an address like http://proxy.example:3128"

    def read(self, node: yaml.Node) -> str:
        address = Url().read(node)
        parts = urlsplit(address)
        if parts.scheme != "http":
            raise ValueError("is not an http URL")
        if parts.path:
            raise ValueError("has a path")
        return address


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The URL of a PostgreSQL database. Without a password: everybody may read the file."""

    wanted: str = "an address like postgresql://airoxy@db.example/airoxy"

    def read(self, node: yaml.Node) -> str:
        text = text_of(node)
        try:
            parts = urlsplit(text)
            secret = parts.password
        except ValueError as error:
            raise ValueError("is not a URL") from error
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError("is not a postgresql URL")
        if secret is not None or "password=" in parts.query:
            raise ValueError("has a password in it")
        return text
