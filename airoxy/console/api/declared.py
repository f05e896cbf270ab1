"""Keys and groups as a file declares them, over the API: `airoxy export` and `airoxy apply`."""

from __future__ import annotations

import json
import secrets

from airoxy.console.api.operation import Operation, check_etag, etag_of
from airoxy.console.filters import is_true
from airoxy.console.visit import Download, JsonReply, Reply, Visit, YamlText
from airoxy.core.keys import new_key
from airoxy.errors import ConfigError, InvalidInput
from airoxy.jobs.declared.export import declared, yaml_lines
from airoxy.jobs.declared.keys_file import KeysFile, read_keys_text
from airoxy.jobs.declared.plan import carry_out, document, make_plan
from airoxy.store.schema import snapshot, transaction
from airoxy.views.json_documents import document_of

_YAML = "application/yaml"


def export(visit: Visit) -> Reply:
    """As JSON, or as the file itself."""
    form = visit.query.get("format") or "json"
    with snapshot(visit.db):
        found = declared(visit.db)
    etag = etag_of(found)
    if form == "yaml":
        body = "".join(f"{line}\n" for line in yaml_lines(found)).encode()
        return Download("airoxy-keys.yaml", _YAML, body, etag)
    if form != "json":
        raise InvalidInput(f"format: {form[:20]!r} is none of json, yaml.")
    return JsonReply(found, etag=etag)


def apply(visit: Visit) -> JsonReply:
    """All of what the body says is done, or nothing."""
    dry_run, prune = (bool(is_true(visit, name)) for name in ("dry_run", "prune"))
    try:
        file = _read(visit)
        with snapshot(visit.db) if dry_run else transaction(visit.db):
            check_etag(visit.if_match, etag_of(declared(visit.db)))
            plan = make_plan(visit.db, file, prune=prune)
            made = {}
            if not dry_run:
                made = carry_out(visit.db, plan, visit.now, lambda: new_key(secrets.choice))
    except ConfigError as error:
        message = error.message
        if not isinstance(visit.body, YamlText):  # all of JSON is in the first line
            message = message.replace("body:1: ", "body: ")
        raise InvalidInput(message) from None
    return JsonReply(document(plan, dry_run=dry_run, keys=made))


def _read(visit: Visit) -> KeysFile:
    """The body, YAML or JSON. Raises InvalidInput, ConfigError."""
    if isinstance(visit.body, YamlText):
        return read_keys_text(visit.body.text, visit.zone)
    if not isinstance(visit.body, dict):
        raise InvalidInput("The body has to be a JSON object, or YAML whose Content-Type says so.")
    # JSON is YAML as well, if no character in it is written as two.
    try:
        text = json.dumps(visit.body, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise InvalidInput("The body has half a character in it, or too many levels.") from None
    return read_keys_text(text, visit.zone)


_SECTIONS = {
    "groups": "the groups by name; without it groups are left as they are",
    "keys": "the client keys by name; likewise",
}
OPERATIONS = (
    Operation("GET", "/api/export", export, "Keys and groups as apply takes them",
              document_of("export"), query={"format": "json or yaml (json)"},
              other_types=(_YAML,), has_etag=True),
    Operation(
        "POST", "/api/apply", apply,
        "Make keys and groups what the body says; the secrets of new keys are shown this once",
        document_of("apply"), body=_SECTIONS, takes_etag=True, takes_yaml=True,
        query={
            "dry_run": "true to be told only what would change",
            "prune": "true to remove the keys and groups that are not in the body",
        },
    ),
)  # fmt: skip
