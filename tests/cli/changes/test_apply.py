"""`airoxy apply` and `airoxy export`: keys and groups from a file, and back."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from airoxy.cli.changes.secrets_file import SecretsFile
from airoxy.errors import InvalidInput
from airoxy.store import keys
from airoxy.store.audit.trail import read_trail
from airoxy.store.groups import add_group
from airoxy.store.limits import set_limits
from tests.program import Airoxy
from tests.store.seed import active_digests

WHOLE = """
groups:
  data: {spend_per_month: 500, note: "cost centre 12"}
keys:
  laptop:
    note: Ada's
    group: data
    pool: research
    spend_per_day: 5
    spend_total: "100.50"
    requests_per_minute: 60
    models: [claude-haiku-*, claude-sonnet-5]
    paths: /v1/agents*
    from: [10.0.0.0/8, "2001:db8::/32"]
    expires: 2020-12-31
    share_resources: all
  ci: {}
  old: {enabled: false}
"""
#: Names that mean something to YAML, to a spreadsheet, to a terminal, or to a browser.
HOSTILE = ["=1+1", "@SUM(A1)", "no", "~", "12", "1:30", "a: b", "- c", "#x", "'", '"', "\\", "*a",
           "{x}", "<script>alert(1)</script>", "日本", "a\u200db", "null", "2026-11-28", "%d",
           "|"]  # fmt: skip


@pytest.fixture
def typed(install) -> Airoxy:
    """An airoxy whose server does not run."""
    return install()


@pytest.fixture
def apply(typed: Airoxy, tmp_path: Path):
    """Applies a text; gives the document that is printed."""

    def apply(text: str, *options: str) -> Any:
        file = tmp_path / "keys.yaml"
        file.write_text(text)
        return typed.json("apply", str(file), *options)

    return apply


def listed(airoxy: Airoxy) -> dict[str, dict[str, Any]]:
    return {key["name"]: key for key in airoxy.json("api-key", "list")}


def test_keys_and_groups_become_what_the_file_says(typed: Airoxy, apply) -> None:
    document = apply(WHOLE)
    assert document["changed"]
    assert set(document["keys"]) == {"laptop", "ci", "old"}
    laptop = listed(typed)["laptop"]
    assert laptop["group_name"] == "data"
    assert laptop["spend_per_day_nanousd"] == 5_000_000_000
    assert laptop["spend_total_nanousd"] == 100_500_000_000
    assert laptop["models"] == ["claude-haiku-*", "claude-sonnet-5"]
    assert laptop["from_networks"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert (laptop["paths"], laptop["share_resources"]) == (["/v1/agents*"], "all")
    assert (laptop["note"], laptop["pool"]) == ("Ada's", "research")
    assert not listed(typed)["old"]["is_active"]
    assert listed(typed)["ci"]["is_active"]


def test_a_second_time_nothing_is_changed(typed: Airoxy, apply) -> None:
    apply(WHOLE)
    with typed.opened() as db:
        before = read_trail(db)
    again = apply(WHOLE)
    assert (again["changed"], again["changes"], again["keys"]) == (False, [], {})
    with typed.opened() as db:
        assert read_trail(db) == before


def test_what_is_exported_is_applied_without_a_change_and_makes_the_same_keys(
    typed: Airoxy, apply, install
) -> None:
    apply(WHOLE)
    exported = typed.cli("export")
    assert not apply(exported, "--prune")["changed"]
    other = install()
    other.cli("apply", "-", stdin=exported)
    assert other.cli("export") == exported
    assert "ak-" not in exported
    for fields in yaml.safe_load(exported)["keys"].values():
        assert not any(key in fields for key in ("key", "masked", "digest"))
    assert json.loads(other.cli("export", "--json"))["keys"]["old"] == {"enabled": False}


def test_fields_that_are_not_named_have_their_default(typed: Airoxy, apply) -> None:
    apply(WHOLE)
    (change,) = apply("keys: {laptop: {note: Ada's}}")["changes"]
    assert change["action"] == "change"
    assert set(change["after"].values()) == {None}
    laptop = listed(typed)["laptop"]
    assert (laptop["spend_per_day_nanousd"], laptop["group_name"]) == (None, None)
    assert laptop["note"] == "Ada's"


def test_a_key_that_was_disabled_stays_so_until_the_file_says_otherwise(typed, apply) -> None:
    apply("keys: {ci: {}}")
    typed.cli("api-key", "disable", "ci")
    assert not apply("keys: {ci: {}}")["changed"]
    assert not listed(typed)["ci"]["is_active"]
    assert apply("keys: {ci: {enabled: true}}")["changed"]
    assert listed(typed)["ci"]["is_active"]


def test_a_dry_run_shows_the_same_and_changes_nothing(typed: Airoxy, apply, tmp_path) -> None:
    secrets = tmp_path / "secrets.yaml"
    shown = apply(WHOLE, "--dry-run", "--secrets-to", str(secrets))
    assert listed(typed) == {}
    assert not secrets.exists()
    assert (shown["keys"], shown["dry_run"]) == ({}, True)
    assert apply(WHOLE)["changes"] == shown["changes"]


def test_others_stay_unless_they_are_pruned(typed: Airoxy, apply) -> None:
    typed.key("other")
    with typed.opened() as db:
        add_group(db, "others", 1)
    kept = apply("keys: {ci: {}}")
    assert kept["others"] == ["key other", "group others"]
    # The file does not speak of groups, so none of them is looked at.
    pruned = apply("keys: {ci: {}}", "--prune")
    assert [(c["action"], c["name"]) for c in pruned["changes"]] == [("remove", "other")]
    assert set(listed(typed)) == {"ci"}
    apply("keys: {ci: {}}\ngroups: {}", "--prune")
    assert yaml.safe_load(typed.cli("export")) == {"groups": {}, "keys": {"ci": {}}}


def test_the_diff_is_for_people(typed: Airoxy, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("keys:\n  ci: {spend_per_day: 5}\n")
    assert "+ key ci\n    spend_per_day  $5.00\n" in typed.cli("apply", str(file))
    file.write_text("keys:\n  ci: {spend_per_day: 10, note: faster}\n  new: {}\n")
    told = typed.cli("apply", str(file), "--dry-run")
    assert "~ key ci\n    note           none → faster\n    spend_per_day  $5.00 → $10.00\n" in told
    assert told.endswith("Dry run: 1 key added, 1 key changed, 0 as they were.\n")
    typed.cli("apply", str(file))
    assert typed.cli("apply", str(file)) == "Nothing to change.\n"


MISTAKES = """\
groups:
  x: 5
  none: {}
keys:
  laptop:
    spend_per_dya: 5
    group: nobody
    expires: 30d
    models: claude haiku!
    requests_per_minute: many
    note: [a, b]
  laptop: {}
  "a\\u202eb": {}
  ci:
    enabled: maybe
    spend_per_day: [5]
    from: everywhere
  ? [a]
  : {}
tokens: {}
"""


def test_every_mistake_is_told_at_once_with_its_line(typed: Airoxy, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(MISTAKES)
    done = typed.run("apply", str(file))
    assert done.returncode == 78
    told = [line.partition("keys.yaml:")[2] for line in done.stderr.splitlines()]
    assert [each.partition(": ")[0] for each in told] == [
        "2", "3", "6", "7", "8", "9", "10", "11", "12", "13", "15", "16", "17", "18", "20",
    ]  # fmt: skip
    assert "did you mean spend_per_day?" in told[2]
    assert "there is no group nobody" in told[3]
    assert "\u202e" not in done.stderr
    assert listed(typed) == {}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "keys: [a]", "keys:\n", "keys: {a: {}", "keys: {a: {<<: *x}}", "\x00", "{}: 1"],
)
def test_what_is_no_such_file_is_refused(typed: Airoxy, tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    done = typed.run("apply", str(file), "--prune")
    assert done.returncode == 78, done
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_told(typed: Airoxy, tmp_path: Path) -> None:
    done = typed.run("apply", str(tmp_path / "nowhere"))
    assert (done.returncode, "no such file" in done.stderr) == (78, True)


def test_secrets_go_to_a_file_that_only_its_owner_reads(typed, apply, tmp_path) -> None:
    secrets = tmp_path / "secrets.yaml"
    secrets.write_text("before: ak-kept")
    secrets.chmod(0o644)
    shown = apply("keys: {ci: {}, 'no': {}}", "--secrets-to", str(secrets))
    assert shown["keys"] == {}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    found = yaml.safe_load(secrets.read_text())
    assert set(found) == {"before", "ci", "no"}
    with typed.opened() as db:
        assert set(active_digests(db)) == {keys.digest(found[name]) for name in ("ci", "no")}
    apply("keys: {ci: {}, new: {}}", "--secrets-to", str(secrets))
    assert set(yaml.safe_load(secrets.read_text())) == {"before", "ci", "no", "new"}


@pytest.mark.parametrize("kind", ["directory", "link", "device", "missing"])
def test_no_key_is_made_whose_secret_cannot_be_kept(typed, tmp_path: Path, kind: str) -> None:
    target = {"device": Path("/dev/full"), "missing": tmp_path / "no/where"}.get(
        kind, tmp_path / kind
    )
    if kind == "directory":
        target.mkdir()
    if kind == "link":
        (tmp_path / "other").touch()
        target.symlink_to(tmp_path / "other")
    done = typed.run("apply", "-", "--secrets-to", str(target), stdin="keys: {ci: {}}")
    assert done.returncode != 0
    assert f"--secrets-to {target}: " in done.stderr
    assert listed(typed) == {}


def test_a_file_of_another_users_is_not_written(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's file")
    target = tmp_path / "secrets"
    target.touch()
    os.chown(target, 1, 1)
    with pytest.raises(InvalidInput, match="not yours alone"):
        SecretsFile(target)


def test_where_one_change_fails_none_is_made(typed: Airoxy, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.yaml"
    with typed.opened() as db:
        db.cursor().execute(
            "CREATE TRIGGER full BEFORE UPDATE ON api_keys WHEN NEW.note = 'last'"
            " BEGIN SELECT raise(ABORT, 'full'); END"
        )
    text = "groups: {data: {}}\nkeys: {first: {group: data}, second: {note: last}}"
    done = typed.run("apply", "-", "--secrets-to", str(secrets), stdin=text)
    assert done.returncode == 1
    assert listed(typed) == {}
    assert "data" not in typed.cli("export")
    assert not secrets.exists()


def test_where_no_key_is_made_no_file_of_secrets_appears(apply, tmp_path: Path) -> None:
    apply("keys: {ci: {}}")
    new, old = tmp_path / "new.yaml", tmp_path / "old.yaml"
    old.touch()
    apply("keys: {ci: {note: x}}", "--secrets-to", str(new))
    apply("keys: {ci: {note: y}}", "--secrets-to", str(old))
    assert not new.exists()
    assert old.exists()


def test_hostile_names_survive_a_round_trip_and_stay_what_they_are(typed, install) -> None:
    with typed.opened() as db:
        for number, name in enumerate(HOSTILE):
            key_id = keys.add_key(db, name, f"ak-{number:040}", 1)
            set_limits(db, key_id, {"note": name.replace("\u200d", "")})
        group = add_group(db, HOSTILE[0], 1)
        set_limits(db, 1, {"group_id": group})
    exported = typed.cli("export")
    assert exported.replace("\n", "").isprintable()
    assert list(yaml.safe_load(exported)["keys"]) == HOSTILE
    other = install()
    told = other.cli("apply", "-", stdin=exported)
    assert told.replace("\n", "").isprintable()
    assert other.cli("export") == exported
    assert [key["note"] for key in other.json("api-key", "list")] == [
        name.replace("\u200d", "") for name in HOSTILE
    ]


def test_a_name_from_before_that_no_one_may_give_today_is_written_with_codes(typed) -> None:
    with typed.opened() as db:
        keys.add_key(db, "a\u202e\x1b[31m\nb", "ak-" + "x" * 40, 1)
    exported = typed.cli("export")
    assert '"a\\u202e\\x1b[31m\\x0ab"' in exported
    assert yaml.safe_load(exported)["keys"] == {"a\u202e\x1b[31m\nb": {}}


def test_the_audit_says_that_a_file_was_applied(typed: Airoxy, apply) -> None:
    apply(WHOLE)
    with typed.opened() as db:
        trail = read_trail(db)
    assert {entry.via for entry in trail} == {"apply"}
    assert {entry.kind for entry in trail} == {"key", "group"}
