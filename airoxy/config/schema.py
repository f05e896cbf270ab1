"""SCHEMA, the one table of settings: validation, `config show` and airoxy.yaml(5) come from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from airoxy.config.default_limits import DefaultLimits
from airoxy.config.kinds import (
    AbsolutePath,
    Choice,
    Decimal,
    Directory,
    Host,
    Kind,
    Networks,
    Switch,
    Text,
    Texts,
    Whole,
)
from airoxy.config.listen import Listen
from airoxy.config.prices import Prices
from airoxy.config.recipients import Addresses, Webhook
from airoxy.config.time_zone import TimeZone
from airoxy.config.urls import DatabaseUrl, ProxyUrl, Url
from airoxy.journal import LEVELS


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `null` says what leaving it empty means, where that is allowed."""

    key: str
    kind: Kind
    default: object
    why: str
    null: str | None = None

    @property
    def wanted(self) -> str:
        """What to write."""
        return f"{self.kind.wanted}, or null for {self.null}" if self.null else self.kind.wanted


SCHEMA: tuple[Setting, ...] = (
    Setting(
        "host",
        Host(),
        None,
        'The address on which airoxy listens; 0.0.0.0 is every IPv4 and "::" every IPv6 address.',
        null="all addresses, IPv4 and IPv6",
    ),
    Setting("port", Whole(1, 65535), 3800, "The TCP port on which airoxy listens."),
    Setting(
        "public_url",
        Url(),
        None,
        "The address that clients know, where a proxy in front does not tell it. It stands in"
        " results_url of a batch, from where the SDKs fetch its results.",
        null="what the client called",
    ),
    Setting(
        "trusted_proxies",
        Networks(),
        ("127.0.0.0/8", "::1/128"),
        "Of which proxies in front of airoxy X-Forwarded-Proto and X-Forwarded-Host are believed."
        " Their addresses have none of the bounds of connections.",
    ),
    Setting(
        "connections.per_address",
        Whole(1, 1_000_000),
        1000,
        "How many connections one address may have open on which no valid client key was shown yet;"
        " above that, new ones are reset. Each worker has an equal share of it, rounded up, and"
        " counts for itself; those that a reload starts begin at 0. Of IPv6 a network of 64 bits"
        " counts as one. Addresses of trusted_proxies are not counted.",
        null="no bound",
    ),
    Setting(
        "connections.per_second",
        Whole(1, 1_000_000),
        100,
        "How many such connections one address may begin in a second, on average; ten times as many"
        " at once; of this, too, each worker has its share. A connection counts until a valid key"
        " is shown on it.",
        null="no bound",
    ),
    Setting(
        "tls.certificate",
        AbsolutePath(),
        None,
        "The certificate that airoxy shows to its clients, with the chain of its issuers behind it"
        " (PEM; what certbot calls fullchain.pem). With it and tls.key, airoxy speaks TLS, and"
        " nothing else, on its port.",
        null="plain HTTP",
    ),
    Setting(
        "tls.key",
        AbsolutePath(),
        None,
        "The private key of tls.certificate (PEM, without a passphrase; what certbot calls"
        " privkey.pem). It may be readable for root alone: systemd passes it to the service.",
        null="plain HTTP",
    ),
    Setting(
        "workers",
        Whole(1, 64),
        1,
        "How many server processes share the work; each uses at most one processor core.",
    ),
    Setting(
        "token_refresh_interval",
        Whole(5, 1440, "minutes"),
        360,
        "How often the timer refreshes the OAuth tokens, which last eight hours; counted from"
        " midnight UTC, so if it does not divide the day the last interval is shorter.",
    ),
    Setting(
        "timezone",
        TimeZone(),
        UTC,
        "The time zone of the days, weeks and months in which limits on money turn over and usage"
        " is summed, and of the times that commands show to people. A change holds from the next"
        " reload on: sums of days before it stay as they are. JSON has times in UTC, prices"
        " change with UTC days, and what systemd writes and times follows the system's zone.",
    ),
    Setting(
        "log_retention_days",
        Whole(1, 36500),
        3,
        "How many whole days every request keeps its own row in the log. The daily sums, to"
        " which it was added when it ended, are kept for good.",
    ),
    Setting(
        "audit_retention_days",
        Whole(1, 36500),
        365,
        "How many days it is known who has changed keys and tokens, and how (`airoxy audit`).",
    ),
    Setting(
        "log_client_addresses",
        Switch(),
        True,
        "Whether the usage log keeps the address of each request's client. Behind a proxy of"
        " trusted_proxies it is the last one in X-Forwarded-For.",
    ),
    Setting(
        "log_level",
        Choice(LEVELS),
        "info",
        "From which level on the service writes to its journal. Limited and refused tokens are"
        " warnings; lost log rows and faults in airoxy itself are errors.",
    ),
    Setting(
        "affinity",
        Choice(("session", "none")),
        "session",
        "With session, all requests of one conversation go to the same token, because"
        " prompt cache and thinking live in one account; with none, every request goes to the"
        " token that has rested longest.",
    ),
    Setting(
        "browsers",
        Switch(),
        False,
        "With true, pages of any origin may use this server from a browser (CORS), with a client"
        " key that they send themselves. Origin, Referer and Sec-Fetch-* then stay here, which"
        " would mean this server's address to Anthropic.",
    ),
    Setting(
        "max_attempts",
        Whole(1, 100),
        5,
        "How many tokens are tried for one request before the client gets the last answer.",
    ),
    Setting(
        "hide_upstream_account",
        Switch(),
        False,
        "With true, answers do not tell clients how much of the quota of the token that served them"
        " is used (anthropic-ratelimit-unified-...), nor whose it is (anthropic-organization-id)."
        " A client key with a limit of money hears of its own limit in any case.",
    ),
    Setting(
        "tell_token",
        Switch(),
        False,
        "Whether answers tell clients the name of the token that served them, in the header"
        " x-airoxy-token.",
    ),
    Setting(
        "upstream.url",
        Url(),
        "https://api.anthropic.com",
        "Where requests are forwarded to.",
    ),
    Setting(
        "upstream.connect_timeout",
        Decimal(3600, "seconds"),
        10.0,
        "How long connecting to upstream may take, in seconds.",
    ),
    Setting(
        "upstream.read_timeout",
        Decimal(86400, "seconds"),
        600.0,
        "How long upstream may be silent during a request, in seconds.",
    ),
    Setting(
        "upstream.proxy",
        ProxyUrl(),
        None,
        "The HTTP proxy through which airoxy reaches upstream and refreshes OAuth tokens. One that"
        " wants a password has to be named in the environment of the service and of"
        " airoxy-refresh-tokens.service instead.",
        null="the one that https_proxy, http_proxy, all_proxy and no_proxy of the environment name",
    ),
    Setting(
        "upstream.account_errors",
        Texts(),
        (
            "credit balance is too low",
            "reached your specified API usage limits",
            "organization has been disabled",
            "workspace has been disabled",
        ),
        "What upstream says in an answer with status 400 where an account cannot pay or is"
        " disabled. The token then rests until the date in the answer, or for an hour, and the"
        " request goes to the next one.",
    ),
    Setting(
        "oauth.endpoint",
        Url("an address like https://platform.claude.com/v1/oauth/token"),
        "https://platform.claude.com/v1/oauth/token",
        "Where OAuth tokens are refreshed.",
    ),
    Setting(
        "oauth.client_id",
        Text(),
        "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "The OAuth client to which the refresh tokens were given; this one is Claude Code's.",
    ),
    Setting(
        "oauth.scope",
        Text(),
        "user:profile user:inference",
        "The rights that a refresh asks for.",
    ),
    Setting(
        "oauth.system_line",
        Text(),
        "You are Claude Code, Anthropic's official CLI for Claude.",
        "The text that is put first in the system prompt of a Messages request which goes out"
        " with an OAuth token and lacks it (behind Claude Code's note on billing, where there is"
        " one); Anthropic refuses such requests without it.",
        null="no such text",
    ),
    Setting(
        "oauth.known_lines",
        Texts(),
        (
            "You are a Claude agent, built on Anthropic's Claude Agent SDK.",
            "You are Claude Code, Anthropic's official CLI for Claude, running within the Claude"
            " Agent SDK.",
        ),
        "What Anthropic's own programs say of themselves in place of oauth.system_line: a request"
        " whose system prompt begins with one of these texts gets no other.",
    ),
    Setting(
        "oauth.leave_at",
        Decimal(),
        0.95,
        "The share of a subscription's quota window (five hours, seven days; for models of one"
        " family, the window of that family) from which on its token is only used when no other is"
        " ready.",
    ),
    Setting(
        "defaults.limits",
        DefaultLimits(),
        {},
        "The limits that `airoxy api-key add` gives to a new key where its options do not say"
        " otherwise (an option with none takes one away). Their names are those of the options:"
        " spend_per_month, requests_per_minute, models and so on.",
    ),
    Setting(
        "metrics.allow",
        Networks(),
        (),
        "The networks from which GET /metrics, for Prometheus, is answered, besides this machine"
        " itself. It contains the names of keys, tokens and models, and what was spent.",
    ),
    Setting(
        "backup.directory",
        Directory(),
        None,
        "Where the nightly job (airoxy-tidy-log.timer) puts a copy of the database, as"
        " airoxy-DATE.db. It must be writable for the user airoxy. The encryption key of the"
        " tokens is not in the copy.",
        null="no nightly copies",
    ),
    Setting("backup.keep", Whole(1, 3660), 7, "How many of these copies are kept."),
    Setting(
        "fleet.database",
        DatabaseUrl(),
        None,
        "The PostgreSQL database in which several hosts meet, without the password: airoxy fleet"
        " join, which may be given another one.",
        null="this host alone, unless `airoxy fleet join` has named a database",
    ),
    Setting(
        "fleet.keep_rows",
        Whole(1000, 1_000_000_000),
        1_000_000,
        "How many rows of the usage log that the fleet does not have yet are kept, beyond"
        " log_retention_days, while PostgreSQL cannot be reached. The sums are kept all the same.",
    ),
    Setting(
        "console.listen",
        Listen(),
        ("127.0.0.1:3801", "/run/airoxy/console.sock"),
        "Where the web console is reached: addresses with a port, and paths of Unix sockets, which"
        " members of the group airoxy may use.",
    ),
    Setting(
        "console.tls",
        Switch(),
        False,
        "Whether the console speaks TLS on its addresses, with tls.certificate and tls.key. Unix"
        " sockets stay without.",
    ),
    Setting(
        "console.public_url",
        Url(),
        None,
        "The address by which browsers reach the console, where a proxy stands in front of it.",
        null="the addresses on which it listens",
    ),
    Setting(
        "notify.mail",
        Addresses(),
        (),
        "Whom to warn by mail, through /usr/sbin/sendmail: of limits that are nearly or fully"
        " spent, tokens that are deactivated or cannot be refreshed, a certificate or key that ends"
        " within 14 days, no token being ready for five minutes, and rows that cannot be written."
        " Each is told once (a limit once in its period) by airoxy-notify.timer; airoxy notify test"
        " sends a warning now.",
    ),
    Setting(
        "notify.webhook",
        Webhook(),
        None,
        "The address to which each warning is posted as JSON, with a text for chat programs. It is"
        " a secret, and this file can be read by everybody: better give the path of a file with"
        " it (mode 0640, group airoxy). One that is down is tried again for three days.",
        null="no webhook",
    ),
    Setting(
        "notify.command",
        Text(),
        None,
        "A program, with its arguments, that gets each warning as JSON on standard input. It runs"
        " as the user airoxy, without a shell, and is tried again where its exit status is not 0.",
        null="no command",
    ),
    Setting(
        "notify.at",
        Decimal(),
        0.8,
        "The share of a limit on money from which on a warning says that it is nearly spent.",
    ),
    Setting(
        "pricing",
        Prices(),
        (),
        "Prices to add to the table in /usr/share/airoxy/prices.yaml or to override there, as"
        " rows of the same form.",
    ),
    Setting(
        "database",
        AbsolutePath(),
        Path("/var/lib/airoxy/airoxy.db"),
        "The SQLite database in which everything is kept; airoxy must be able to write its"
        " directory.",
    ),
)

SETTINGS = {setting.key: setting for setting in SCHEMA}

#: The keys that hold other keys: connections, tls, upstream, oauth, defaults, metrics, backup,
#: notify, fleet, console.
SECTIONS = frozenset(key.rpartition(".")[0] for key in SETTINGS) - {""}
