"""The pages, each with what it shows and what its forms do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from airoxy.core.billing.usage import Usage
from airoxy.core.keys import digest
from airoxy.core.limits.holders import EVERYBODY
from airoxy.store import groups, keys, tokens
from airoxy.store.schema import transaction
from airoxy.store.usage.requests import Row, append
from tests.console.running import Browser, Console, Reply, location
from tests.store.seed import active_digests

PAGES = ("/", "/keys", "/groups", f"/groups/{EVERYBODY}", "/tokens", "/log", "/reports", "/prices",
         "/audit", "/health", "/account")  # fmt: skip
HOSTILE = "<script>alert(1)</script>"
SECRET = "sk-ant-api03-" + "x" * 24


@pytest.fixture(scope="module")
def viewer(console: Console) -> Browser:
    return console.browser("otto", "viewer")


def request(key_id: int, **changes: object) -> Row:
    row = Row(
        int(time.time() * 1000), key_id, None, "/v1/messages", "claude-haiku-4-5", False,
        Usage("claude-haiku-4-5", input_tokens=1000, output_tokens=10), 5_000_000, 200, None,
        "complete", 1, 300, 900, "req_airoxy_1",
    )  # fmt: skip
    return row._replace(**changes)  # type: ignore[arg-type]


def write(console: Console, *rows: Row) -> None:
    with console.opened() as db, transaction(db):
        append(db, rows)


def make_key(console: Console, name: str) -> int:
    with console.opened() as db:
        return keys.add_key(db, name, f"ak-{name:x<43}"[:46], time.time())


def find_key(console: Console, key_id: int) -> dict[str, object]:
    with console.opened() as db:
        return keys.find_key(db, key_id)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_something_where_there_is_nothing_yet(
    make_console: Callable[..., Console], path: str
) -> None:
    empty = _empty(make_console)
    reply = empty.get(path)
    assert reply.status == 200
    assert "<h1>" in reply.text


_opened: list[Browser] = []


def _empty(make_console: Callable[..., Console]) -> Browser:
    """A console of its own, whose database has nothing in it; the same one for each page."""
    if not _opened:
        _opened.append(make_console().start().browser("eve", "viewer"))
    return _opened[0]


def test_a_key_is_made_and_its_secret_shown_once(console: Console, maria: Browser) -> None:
    reply = maria.post("/keys", name="laptop", spend_per_day="2.50", models="claude-haiku-*")
    (secret,) = set(re.findall(r"ak-[\w-]{20,}", reply.text))
    with console.opened() as db:
        key_id = active_digests(db)[digest(secret)]
    key = find_key(console, key_id)
    assert (key["name"], key["spend_per_day_nanousd"]) == ("laptop", 2_500_000_000)
    assert key["models"] == ["claude-haiku-*"]
    assert "ANTHROPIC_BASE_URL" in reply.text
    assert secret not in maria.get(f"/keys/{key_id}").text
    assert ">laptop<" in maria.get("/keys?q=LAPT").text
    assert ">laptop<" not in maria.get("/keys?q=nobody").text


def test_the_forms_beside_a_new_secret_are_those_of_the_new_key(
    console: Console, maria: Browser
) -> None:
    page = maria.post("/keys", name="just made").text
    with console.opened() as db:
        (key_id,) = (each["id"] for each in keys.list_keys(db) if each["name"] == "just made")
    forms = re.findall(r'<form method="post"[^>]*>', page)
    asked = [form for form in forms if "logout" not in form]
    assert len(asked) == 4
    assert all(f'action="/keys/{key_id}"' in form for form in asked)


def test_the_audit_trail_is_read_in_pages_and_by_key(
    make_console: Callable[..., Console],
) -> None:
    console = make_console().start()
    reader = console.browser("auditor", "viewer")
    with console.opened() as db, transaction(db):
        numbers = [keys.add_key(db, f"k{n}", f"ak-{n:043}", time.time()) for n in range(205)]
    # What is older is behind a link; the newest come first.
    first = reader.get("/audit").text
    (older,) = re.findall(r'href="(/audit\?before=\d+)"', first)
    rest = reader.get(older).text
    assert (">k204<" in first, ">k0<" in first) == (True, False)
    assert (">k204<" in rest, ">k0<" in rest, "The newest" in rest) == (False, True, True)
    of_one = reader.get(f"/audit?key={numbers[7]}").text
    assert (">k7<" in of_one, ">k8<" in of_one) == (True, False)
    assert "No change of that is recorded" in reader.get("/audit?group=all").text
    wrong = reader.get("/audit?token=nobody")
    assert (wrong.status, "There is no token nobody" in wrong.text) == (400, True)
    assert reader.get("/audit?before=x").status == 400


def test_the_log_keeps_the_group_in_its_links(console: Console, maria: Browser) -> None:
    with console.opened() as db:
        groups.add_group(db, "kept", time.time())
    page = maria.get("/log?group=kept").text
    assert 'name="group" value="kept"' in page
    assert 'href="/log?group=kept&amp;follow=1"' in page


def test_a_limit_that_cannot_be_read_is_told_and_changes_nothing(
    console: Console, maria: Browser
) -> None:
    key_id = make_key(console, "careful")
    path = f"/keys/{key_id}"
    assert maria.post(path, action="set", spend_per_month="10").status == 303
    reply = maria.post(path, action="set", spend_per_month="much", note="new")
    assert reply.status == 400
    assert "this month:" in reply.text
    key = find_key(console, key_id)
    assert (key["spend_per_month_nanousd"], key["note"]) == (10_000_000_000, None)
    assert maria.post(path, action="set", spend_per_month="").status == 303
    assert find_key(console, key_id)["spend_per_month_nanousd"] is None


def test_what_was_typed_stands_in_the_form_again_beside_what_is_wrong_with_it(
    console: Console, maria: Browser
) -> None:
    with console.opened() as db:
        group = groups.add_group(db, "retyped", time.time())
    path = f"/keys/{make_key(console, 'retyped')}"
    typed = {"name": "renamed", "spend_per_day": "much", "note": "a & b", "group": str(group)}
    reply = maria.post(path, action="set", **typed)
    assert reply.status == 400
    for text in ('value="renamed"', 'value="much"', 'value="a &amp; b"', f'"{group}" selected'):
        assert text in reply.text
    assert state_of(reply) == state_of(maria.get(path))


@pytest.mark.parametrize("what", ["keys", "groups", "tokens"])
def test_a_form_of_a_state_that_is_gone_sets_nothing(
    console: Console, maria: Browser, what: str
) -> None:
    with console.opened() as db:
        number = {
            "keys": lambda: keys.add_key(db, "shared", f"ak-{'s' * 43}", time.time()),
            "groups": lambda: groups.add_group(db, "shared", time.time()),
            "tokens": lambda: tokens.add_token(
                db, name="shared", type="api_key", token=SECRET + "shared", refresh_token=None,
                expires_at=None, now=time.time(),
            ),
        }[what]()  # fmt: skip
    path = f"/{what}/{number}"
    stale = state_of(maria.get(path))
    assert maria.post(path, action="set", state=stale, spend_per_day="5").status == 303
    late = maria.post(path, action="set", state=stale, spend_per_day="", note="late")
    assert late.status == 412
    assert "changed it meanwhile" in late.text
    assert ('value="5.00"' in late.text, 'value="late"' in late.text) == (True, False)
    # Nor does a form that came back for another reason forget which state it is of.
    wrong = maria.post(path, action="set", state=stale, spend_per_day="much")
    assert (wrong.status, state_of(wrong)) == (400, stale)
    fresh = state_of(late)
    assert maria.post(path, action="set", state=fresh, note="seen").status == 303


def state_of(reply: Reply) -> str:
    """Of which state the form on this page is."""
    (found,) = re.findall(r'name="state" value="(\w+)"', reply.text)
    return str(found)


def test_a_key_is_put_into_a_group_and_out_of_it(console: Console, maria: Browser) -> None:
    key_id = make_key(console, "member")
    group_id = int(location(maria.post("/groups", name="team", spend_per_week="5")).split("/")[2])
    maria.post(f"/keys/{key_id}", action="set", group=str(group_id))
    assert find_key(console, key_id)["group_id"] == group_id
    assert "member" in maria.get(f"/groups/{group_id}").text
    maria.post(f"/keys/{key_id}", action="set", group="")
    assert find_key(console, key_id)["group_id"] is None
    assert maria.post(f"/groups/{group_id}", action="remove", typed="other").status == 400
    assert location(maria.post(f"/groups/{group_id}", action="remove", typed="team")) == "/groups"
    assert maria.get(f"/groups/{group_id}").status == 404


def test_limits_of_a_group_are_set(console: Console, maria: Browser) -> None:
    assert maria.post(f"/groups/{EVERYBODY}", action="set", spend_per_month="500").status == 303
    with console.opened() as db:
        assert groups.find_group(db, EVERYBODY)["spend_per_month_nanousd"] == 500_000_000_000
    assert maria.post(f"/groups/{EVERYBODY}", action="set", spend_per_month="").status == 303
    assert maria.post("/groups", name="all").status == 400


def test_a_key_is_disabled_enabled_and_rotated(console: Console, maria: Browser) -> None:
    key_id = make_key(console, "worker")
    path = f"/keys/{key_id}"
    maria.post(path, action="disable")
    assert not find_key(console, key_id)["is_active"]
    maria.post(path, action="enable")
    before = find_key(console, key_id)
    reply = maria.post(path, action="rotate", overlap="3600")
    (secret,) = set(re.findall(r"ak-[\w-]{20,}", reply.text))
    after = find_key(console, key_id)
    assert before["is_active"]
    assert after["masked"] != before["masked"]
    with console.opened() as db:
        assert active_digests(db)[digest(secret)] == key_id
    assert [each["masked"] for each in after["old_secrets"]] == [before["masked"]]  # type: ignore[index, attr-defined]
    assert maria.post(path, action="rotate", overlap="12345").status == 400


def test_a_key_is_removed_by_who_types_its_name(console: Console, maria: Browser) -> None:
    key_id = make_key(console, "old")
    assert maria.post(f"/keys/{key_id}", action="remove", typed="young").status == 400
    assert location(maria.post(f"/keys/{key_id}", action="remove", typed="old")) == "/keys"
    assert maria.get(f"/keys/{key_id}").status == 404


@pytest.mark.parametrize(
    "path", ["/keys", "/keys/1", "/groups", f"/groups/{EVERYBODY}", "/tokens", "/tokens/1"]
)
def test_a_viewer_changes_nothing_and_is_shown_no_forms(
    console: Console, viewer: Browser, path: str
) -> None:
    reply = viewer.post(path, name="mine", action="disable", typed="", token=SECRET, unchecked="1")
    assert reply.status == 403
    if path.count("/") == 1:
        assert f'method="post" action="{path}"' not in viewer.get(path).text


def test_a_token_is_added_set_and_removed_and_its_secret_never_shown(
    console: Console, maria: Browser
) -> None:
    path = location(maria.post("/tokens", name="work", token=SECRET, unchecked="1"))
    token_id = int(path.split("/")[2])
    assert maria.post(path, action="set", priority="7", pool="side").status == 303
    with console.opened() as db:
        row = tokens.find_token(db, token_id, time.time())
    assert (row["priority"], row["pool"]) == (7, "side")
    maria.post(path, action="disable")
    for page in ("/tokens", path, "/audit", "/"):
        assert SECRET not in maria.get(page).text
    assert "disabled" in maria.get(path).text
    twice = maria.post("/tokens", name="again", token=SECRET, unchecked="1")
    assert twice.status == 409
    assert SECRET not in twice.text
    wrong = maria.post("/tokens", name="again", token="sk-nothing", unchecked="1")
    assert wrong.status == 400
    assert location(maria.post(path, action="remove", typed="work")) == "/tokens"


def test_the_log_is_filtered_by_its_address(console: Console, maria: Browser) -> None:
    one, other = make_key(console, "one"), make_key(console, "other")
    write(
        console,
        request(one, request_id="req_airoxy_one", model="claude-opus-4-8"),
        request(other, request_id="req_two", status_code=529, error_message="Overloaded (2 tried)"),
    )

    def ids(query: str) -> int:
        return len(re.findall(r'href="/log/\d+"', maria.get(f"/log?{query}").text))

    assert ids("key=one") == 1
    assert ids("key=one&status=failed") == 0
    assert ids("key=other&status=5xx") == ids("key=other&status=529") == 1
    assert ids("q=other&model=*haiku*") == 1
    assert ids("q=req_airoxy_one") == ids("q=opus") == ids("model=claude-opus-*") == 1
    assert ids("key=one&since=1h") == 1
    assert ids("key=one&until=1h") == 0
    assert "Overloaded (2 tried)" in maria.get("/log?key=other").text
    for query in ("key=nobody", "status=9xx", "since=soon", "before=x"):
        assert maria.get(f"/log?{query}").status == 400


def test_older_requests_are_a_page_further(console: Console, maria: Browser) -> None:
    key_id = make_key(console, "busy")
    write(console, *(request(key_id, request_id=f"req_{n}") for n in range(230)))
    seen: list[str] = []
    query: str | None = "key=busy"
    pages = 0
    while query is not None:
        text = maria.get(f"/log?{query}").text
        seen += re.findall(r'href="/log/(\d+)"', text)
        older = re.search(r'href="/log\?([^"]*before=[^"]*)">Older', text)
        query = older[1].replace("&amp;", "&") if older else None
        pages += 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == 230
    assert "req_229" in maria.get(f"/log/{seen[0]}").text


def test_whatever_clients_send_is_shown_as_text(console: Console, maria: Browser) -> None:
    key_id = make_key(console, HOSTILE)
    row = request(
        key_id, model=HOSTILE, error_message=HOSTILE, endpoint=f"/v1/{HOSTILE}", status_code=400,
        usage=Usage(HOSTILE, input_tokens=1), client_address=HOSTILE, request_id=HOSTILE,
    )  # fmt: skip
    write(console, row)
    maria.post(f"/keys/{key_id}", action="set", note=HOSTILE)
    number = re.findall(r'href="/log/(\d+)"', maria.get("/log").text)[0]
    typed = HOSTILE.replace("<", "%3C").replace(">", "%3E")
    paths = ("/", "/keys", f"/keys/{key_id}", "/log", f"/log/{number}", "/reports", "/prices",
             "/audit", f"/keys?q={typed}", f"/log?q={typed}", f"/log?key={typed}")  # fmt: skip
    for path in paths:
        assert HOSTILE not in maria.get(path).text, path
    assert "&lt;script&gt;" in maria.get("/log").text


def test_the_audit_names_who_used_the_console(console: Console, maria: Browser) -> None:
    key_id = make_key(console, "audited")
    maria.post(f"/keys/{key_id}", action="disable")
    newest = maria.get("/audit").text.partition("<tbody>")[2].partition("<tr>")[2]
    entry = newest.partition("<tr>")[0]
    assert "maria (console)" in entry
    assert "audited" in entry
    assert "disabled" in entry


def test_health_shows_what_doctor_finds(maria: Browser) -> None:
    text = maria.get("/health").text
    assert "It does not answer" in text  # there is no server beside this console
    deadline = time.monotonic() + 60
    while "migrations" not in text:
        assert "The doctor is looking" in text
        assert time.monotonic() < deadline
        time.sleep(0.05)  # as the browser does: nothing tells of it
        text = maria.get("/health").text


@pytest.mark.parametrize("path", ["/keys/x", "/keys/99999", "/tokens/-1", "/log/0", "/groups/77"])
def test_what_is_not_there_is_not_found(maria: Browser, path: str) -> None:
    assert maria.get(path).status == 404
