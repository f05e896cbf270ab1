"""What `--json` prints, command by command: for the manual, and for the test that holds it."""

from __future__ import annotations

from collections.abc import Mapping

from airoxy.views.json_fields import GROUP, KEY, REQUEST, TOKEN, TOTALS, JsonDocument, described
from airoxy.views.prices import PRICES

_RATES = dict.fromkeys(PRICES, "dollars per million tokens, as in the price table")
_UNIT = {
    "unit": "its name",
    "state": "active, inactive, failed and so on",
    "detail": "systemd's word for it, such as running or listening",
    "enabled": "whether it starts at boot: enabled, disabled, static, or empty where it is not"
    " installed",
    "since": "since when it is active; null where it is not",
}


def _within(outer: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {f"{outer}.{name}": text for name, text in fields.items()}


PRICE_TABLE = JsonDocument(
    ("prices",),
    {
        "prices": "the rows of the price table",
        "prices.model": "the model, or the beginning of its name and an asterisk",
        "prices.from": "the first day on which the price holds; null for always",
        "prices.source": "the file that it is from; shipped for airoxy's own",
        **_within("prices", _RATES),
        "prices.us_geo": "the factor for inference in the US",
        "prices.tiers": "other prices of large prompts; only where there are some",
        "prices.tiers.over": "for prompts of more input tokens than this",
        **_within("prices.tiers", _RATES),
        "prices.fast": "the prices of the fast speed; only where there are some",
        "prices.fast.input": "dollars per million input tokens",
        "prices.fast.output": "dollars per million output tokens",
        "web_search": "what searches cost",
        "web_search.from": "the first day on which the price holds; null for always",
        "web_search.source": "the file that it is from; shipped for airoxy's own",
        "web_search.per_1000": "dollars per 1,000 searches",
        "unpriced": "the models in the usage log that have no price",
        "unpriced.model": "the model",
        "unpriced.requests": "how many requests there were",
        "unpriced.cost_nanousd": "what they were counted as, in billionths of a dollar",
        "unpriced.first_day": "the first day of them",
        "unpriced.last_day": "the last day of them",
    },
    ("prices.tiers", "prices.fast"),
)
RECOST = described(
    "prices --recost",
    since="the first day",
    dry_run="whether nothing was done",
    rows="how many requests there are since then",
    changed="the cost of how many has changed",
    before_nanousd="what those cost before, in billionths of a dollar",
    after_nanousd="what they cost now, or would",
    unknown="how many cannot be computed again",
)
#: Each command stands here, but for `config show`, whose fields are those of airoxy.yaml(5).
DOCUMENTS = (
    described("api-key add", id="its number", name="whom it is for", key="the key itself"),
    KEY,
    described(
        "api-key show --as-command",
        command="what adds the key to another host, where it reads the key on standard input",
    ),
    described("group add", id="its number", name="what it is called"),
    GROUP,
    described(
        "api-key rotate",
        id="its number",
        name="whom it is for",
        key="the new key itself; null with --finish",
        old_secrets="the secrets that it had before and that still work: masked and until",
    ),
    described(
        "fleet join",
        name="the name of this host in the fleet",
        dry_run="whether nothing was done",
        changes="what has changed of its keys, groups and tokens, in words",
    ),
    described(
        "fleet status",
        here="this host: name, host (its number), rows_waiting, changes_waiting, contact_at"
        " and trouble",
        hosts="the hosts of the fleet, with joined_at and seen_at; none where PostgreSQL"
        " cannot be reached",
        shares="how limits are divided: key_id, group_id or token_id, limit (as it is called"
        " in api-key list), host, and its share and what it has used of it, in the limit's"
        " unit",
    ),
    described(
        "fleet leave",
        name="the name that this host had in the fleet",
        left="true",
        trouble="why the fleet does not know of it, with --force; null where it does",
    ),
    described("fleet forget", name="the host that was forgotten", forgotten="true"),
    described("token add", id="its number", name="its name", type="api_key or oauth"),
    TOKEN,
    described(
        "token auto",
        path="a file with a login of Claude Code",
        user="whose it is; empty where it cannot be read",
        result="what was done with it, or would be, in words",
        id="the token's number; null where it would be added",
        name="the token's name",
    )._replace(optional=("id", "name")),
    described(
        "token rotate-key",
        rotated="true",
        key="the file with the new key, which systemd has encrypted where it is systemd's",
    ),
    described(
        "api-key remove, group remove, token remove, console user remove, console token remove",
        id="the number",
        name="the name",
        removed="true",
    ),
    described(
        "console user add, console user link",
        id="the user's number",
        name="the user's name",
        link="the link that logs in, once and within 15 minutes",
    ),
    described(
        "console user list, console user set",
        id="the user's number",
        name="the user's name",
        role="viewer or admin",
        has_passphrase="false for one who logs in by links",
        created_at="when the user was added",
        last_login_at="when the user has logged in last; null for never",
    ),
    described(
        "console user logout", id="the user's number", name="the user's name", logged_out="true"
    ),
    described(
        "console token add", id="its number", name="the program's name", token="the token itself"
    ),
    described(
        "console token list",
        id="its number",
        name="the program's name",
        role="viewer or admin",
        masked="its beginning and its end",
        created_at="when it was made",
        expires_at="until when it works",
    ),
    described(
        "notify test",
        way="mail, webhook or command",
        trouble="why it could not be sent; null where it was",
    ),
    described(
        "token check",
        id="its number",
        name="its name",
        state="good, limited, unpaid, refused or unreachable",
        message="what Anthropic answered",
        organization="the organization that it belongs to",
    ),
    described(
        "token refresh",
        id="its number",
        name="its name",
        renewed="whether there is a newer token now",
        message="why not",
    ),
    REQUEST,
    TOTALS,
    described(
        "apply",
        changed="whether anything is to be changed",
        dry_run="whether nothing was done",
        changes="what is changed: action (add, change or remove), kind, name, before, after",
        others="the keys and groups that are not in the file, and stay",
        keys="the new keys themselves by name; none with --secrets-to",
    ),
    described(
        "audit",
        id="the entry's number",
        at="when it was",
        actor="who made the change; server for airoxy itself, unknown for another program",
        uid="the user's number; null where it was no command",
        via="the command, or what else asked for the change",
        kind="key, group, token, console user or API token",
        subject_id="its number",
        name="what it was called then",
        action="added, changed, enabled, disabled, rotated, reset or removed; of a user also"
        " login link made, passphrase set and passphrase removed",
        before="the fields that have changed, by column; null for what was added",
        after="the same fields as they became; null for what was removed",
    ),
    described(
        "backup",
        file="where the copy is",
        bytes="its size",
        taken_at="of which moment it is",
        key="where the key is with which the tokens in it are encrypted",
    ),
    described(
        "doctor",
        check="what was looked at",
        state="ok, warn, fail or fixed",
        text="how it is",
        remedy="what to do",
        fixable="whether --fix can",
    ),
    described(
        "restore",
        file="the backup",
        kept="where the database is that was there before; null where there was none",
        tokens="how many tokens are in the backup",
        oauth_tokens="how many of them are OAuth tokens",
        is_readable="false where the key that decrypts them is not here",
        is_drill="whether the OAuth tokens in it were disabled for a drill",
    ),
    described(
        "import-php",
        file="the database of the PHP installation",
        dry_run="whether nothing was done",
        keys="how many client keys were taken over",
        tokens="how many tokens",
        days="the sums of how many days",
        notes="what is not as one might expect, in sentences",
        settings="the lines of airoxy.yaml that say what .env says",
    ),
    described(
        "export",
        groups="the groups by name, each with the fields of the file that apply takes",
        keys="the client keys by name, likewise",
    ),
    PRICE_TABLE,
    RECOST,
    JsonDocument(
        ("status",),
        {
            "socket": "the unit that listens",
            **_within("socket", _UNIT),
            "socket.listen": "the addresses that it listens on",
            "service": "the unit of the server",
            **_within("service", _UNIT),
            "service.pid": "the number of its main process; null where it does not run",
            "service.text": "what it says of itself",
            "health": "what the server answered; null where it does not run",
            "health.url": "where it was asked",
            "health.status": "200, 503, or null where nobody answered",
            "health.body": "what GET /health has, or reason (and remedy) where nobody answered",
            "fleet": "the unit of the fleet's agent; null where the host is in none",
            **_within("fleet", _UNIT),
            "timers": "the timers",
            **_within("timers", _UNIT),
            "timers.last_run": "when its job ran last; null for never",
            "timers.last_result": "success, or what systemd calls the failure; null for never",
            "timers.next_run": "when it runs next; null where it is stopped",
        },
    ),
)


def document_of(command: str) -> JsonDocument:
    """What this command prints."""
    return next(each for each in DOCUMENTS if command in each.commands)
