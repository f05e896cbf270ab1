"""The configuration: a YAML file, checked as a whole, as frozen dataclasses.

Invariant: a configuration with a mistake is not used at all, and all its mistakes are reported at
once. It contains no secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airoxy.config.document import Document, Mistake, read_document
from airoxy.config.listen import urls
from airoxy.config.prices import Row, price_table, shipped_prices
from airoxy.config.recipients import HiddenUrl
from airoxy.config.schema import SCHEMA, SECTIONS, SETTINGS, Setting
from airoxy.errors import ConfigError

if TYPE_CHECKING:
    from airoxy.core.billing.pricing import PriceTable

__all__ = [
    "DEFAULT_PATH",
    "SCHEMA",
    "SETTINGS",
    "Config",
    "ConfigError",
    "Document",
    "Metrics",
    "Mistake",
    "OAuth",
    "Setting",
    "Tls",
    "Upstream",
    "database_of",
    "load_config",
    "make_config",
    "read_document",
    "shipped_prices",
]

#: Where the package puts the file; absent, everything is at its default.
DEFAULT_PATH = Path("/etc/airoxy/airoxy.yaml")


@dataclass(frozen=True)
class Tls:
    """Where certificate and key are, for clients to see; both None is plain HTTP."""

    certificate: Path | None
    key: Path | None


@dataclass(frozen=True)
class UpstreamSettings:
    """Where requests go. Timeouts are seconds; `account_errors` are what an answer with status 400
    says of an account that cannot pay."""

    url: str
    connect_timeout: float
    read_timeout: float
    proxy: str | None = None
    account_errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class OAuth:
    """How OAuth tokens are refreshed and used; no `system_line` means that none is added, and none
    is where one of `known_lines` stands."""

    endpoint: str
    client_id: str
    scope: str
    system_line: str | None
    known_lines: tuple[str, ...] = ()
    #: Of a quota window; a token that has used more is only chosen when no other is ready.
    leave_at: float = 1.0
    #: That of `upstream`, through which tokens are refreshed as well.
    proxy: str | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The line to add and those that do in its place; none where nothing is to be added."""
        return () if self.system_line is None else (self.system_line, *self.known_lines)


@dataclass(frozen=True)
class Connections:
    """Bounds for connections without a valid client key: open from one address, new a second."""

    per_address: int | None
    per_second: int | None


@dataclass(frozen=True)
class Backups:
    """The nightly copies of the database: where they go, and how many are kept."""

    directory: Path | None
    keep: int


@dataclass(frozen=True)
class Notify:
    """By which ways the operator is warned, and from which share of a limit on."""

    mail: tuple[str, ...]
    webhook: HiddenUrl | Path | None
    command: str | None
    at: float

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of those that are configured."""
        return tuple(name for name in ("mail", "webhook", "command") if getattr(self, name))


@dataclass(frozen=True)
class Defaults:
    """What new client keys are given: limits by the names of their options, as typed."""

    limits: Mapping[str, str]


@dataclass(frozen=True)
class Metrics:
    """From where GET /metrics is answered beside this machine: networks, as CIDR."""

    allow: tuple[str, ...]


@dataclass(frozen=True)
class Fleet:
    """Where several hosts meet, and how many rows wait for that at most."""

    database: str | None
    keep_rows: int


@dataclass(frozen=True)
class ConsoleSettings:
    """Where the console listens, whether by TLS, and the address that browsers have for it."""

    listen: tuple[str, ...]
    tls: bool
    public_url: str | None

    @property
    def addresses(self) -> list[str]:
        """What browsers reach it by; behind a Unix socket alone nobody knows."""
        known = [self.public_url] if self.public_url else urls(self.listen, tls=self.tls)
        return known or ["http://localhost"]


@dataclass(frozen=True)
class Config:
    """The configuration in force. `host` None is every address; the interval is in minutes."""

    host: str | None
    port: int
    public_url: str | None
    trusted_proxies: tuple[str, ...]
    connections: Connections
    tls: Tls
    workers: int
    token_refresh_interval: int
    timezone: tzinfo
    log_retention_days: int
    audit_retention_days: int
    log_client_addresses: bool
    log_level: str
    affinity: str
    browsers: bool
    max_attempts: int
    hide_upstream_account: bool
    tell_token: bool
    upstream: UpstreamSettings
    oauth: OAuth
    defaults: Defaults
    metrics: Metrics
    backup: Backups
    fleet: Fleet
    notify: Notify
    console: ConsoleSettings
    price_rows: tuple[Row, ...]
    database: Path
    source: Path | None = field(default=None, compare=False)
    #: In which line of the source each setting is that stands there, by dotted key.
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def pricing(self) -> PriceTable:
        """The shipped price table with the file's rows over it."""
        return price_table(self.price_rows)

    def value(self, key: str) -> object:
        """A setting's value by its dotted key; of `pricing` the file's own rows."""
        return self.price_rows if key == "pricing" else attrgetter(key)(self)

    def origin(self, key: str) -> str:
        """Where a setting comes from: FILE:LINE or "default"."""
        return f"{self.source}:{self.lines[key]}" if key in self.lines else "default"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The IP addresses to listen on, none meaning all of both families. `::` is IPv6 only."""
        if self.host == "localhost":
            return ("127.0.0.1", "::1")
        return (self.host,) if self.host else ()

    @property
    def first_host(self) -> str:
        """The first of them; `::` is every address here."""
        return self.hosts[0] if self.host else "::"


def make_config(
    values: Mapping[str, object] | None = None,
    *,
    source: Path | None = None,
    lines: Mapping[str, int] | None = None,
) -> Config:
    """A configuration of these values by dotted key, with everything else at its default."""
    top: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for key, setting in SETTINGS.items():
        section, _, name = key.rpartition(".")
        (sections[section] if section else top)[name] = (values or {}).get(key, setting.default)
    top["price_rows"] = top.pop("pricing")
    top |= {
        "connections": Connections(**sections["connections"]),
        "tls": Tls(**sections["tls"]),
        "upstream": UpstreamSettings(**sections["upstream"]),
        "oauth": OAuth(**sections["oauth"], proxy=sections["upstream"]["proxy"]),
        "defaults": Defaults(**sections["defaults"]),
        "metrics": Metrics(**sections["metrics"]),
        "backup": Backups(**sections["backup"]),
        "fleet": Fleet(**sections["fleet"]),
        "notify": Notify(**sections["notify"]),
        "console": ConsoleSettings(**sections["console"]),
    }
    return Config(source=source, lines=lines or {}, **top)


def database_of(path: Path) -> Path | None:
    """What a file with mistakes says of `database`, or the default; None where that is not certain.
    Of a file that is not YAML the line is looked for."""
    try:
        document = read_document(path)
        wrong = {mistake.key for mistake in document.mistakes}
        if None not in wrong:
            return None if "database" in wrong else make_config(document.values).database
        lines = re.findall(r"^database:[ \t]*(.*?)[ \t]*$", path.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    found = Path(lines[0].strip("\"'")) if lines else make_config().database
    return found if len(lines) < 2 and found.is_absolute() and found.exists() else None


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of `path`, else of AIROXY_CONFIG, else of the file in /etc if it is there,
    else the defaults. ConfigError lists every mistake, a line each.
    """
    named = path or (Path(environ["AIROXY_CONFIG"]) if environ.get("AIROXY_CONFIG") else None)
    try:
        document = read_document(named or DEFAULT_PATH)
    except FileNotFoundError as error:
        if named is None:
            return make_config()
        raise ConfigError(f"{named}: there is no such file; name one that exists") from error
    if document.mistakes:
        raise ConfigError("\n".join(map(str, document.mistakes)))
    return make_config(document.values, source=document.path, lines=document.lines)
