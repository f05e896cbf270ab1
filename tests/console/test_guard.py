"""What nobody gets past: no session, another's form, another origin, another host, large bodies."""

from __future__ import annotations

import pytest

from airoxy.console.app import all_routes
from airoxy.console.guard import HEADERS
from airoxy.console.origin import OwnOrigin
from airoxy.store.console.users import VIEWER
from tests.console.running import location, through

#: A request for each route and method.
EVERY = [
    (method, route.path.replace("{", "").replace("}", ""))
    for route in all_routes()
    for method in route.handlers
]
PRIVATE = [(method, path) for method, path in EVERY if not path.startswith(("/login", "/link/"))]
CHANGES = [(method, path) for method, path in PRIVATE if method != "GET"]


@pytest.mark.parametrize(
    ("method", "path"), [*PRIVATE, ("GET", "/nowhere"), ("GET", "/api/nowhere")]
)
def test_without_a_session_there_is_only_the_login(console, method, path):
    answer = console.ask(method, path, headers={"origin": console.origin})
    if path.startswith("/api/"):
        assert answer.status == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
    else:
        assert (answer.status, location(answer)) == (303, "/login")
        assert not answer.body


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_wants_the_csrf_token_of_its_own_session(console, method, path):
    victim, other = console.browser(f"v {method} {path}"), console.browser(f"o {method} {path}")
    for csrf in ("", "x", "é", other.csrf):
        headers = {
            "origin": console.origin, "cookie": victim.cookie,
            "x-csrf-token": csrf.encode().decode("latin-1"),
        }  # fmt: skip
        answer = console.ask(method, path, b"", headers)
        assert (answer.status, victim.get("/").status) == (403, 200)


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "http://127.0.0.1:1"])
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_comes_from_our_own_origin(console, method, path, origin):
    browser = console.browser(f"{origin} {method} {path}"[:60])
    headers = {"cookie": browser.cookie, "x-csrf-token": browser.csrf}
    answer = console.ask(method, path, b"", headers | ({"origin": origin} if origin else {}))
    assert (answer.status, browser.get("/").status) == (403, 200)


@pytest.mark.parametrize("path", ["/login", "/link/x"])
def test_nobody_is_logged_in_from_another_site(console, path):
    browser = console.browser()
    answer = browser.post(path, {"origin": "https://evil.example"}, name="x", passphrase="y")
    assert answer.status == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3801", "127.0.0.1.evil.example", "localhost.evil.example",
     "127.0.0.1@evil.example", "evil.example/127.0.0.1", "[::1", "", "a,localhost"],
)  # fmt: skip
def test_a_name_that_is_not_ours_gets_nothing(console, host):
    browser = console.browser(f"rebound by {host}")
    for path in ("/", "/login", "/static/console.css", "/api/keys"):
        answer = browser.get(path, host=host)
        assert answer.status in (400, 421), answer
        assert "rebound" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "[::1]:3801", "192.0.2.7"])
def test_the_names_of_tunnels_and_addresses_are_ours(console, host):
    assert console.ask("GET", "/login", headers={"host": host}).status == 200


def test_the_name_in_the_configuration_is_ours_and_has_its_scheme(make_console):
    console = make_console(console={"public_url": "https://console.example.com"}).start()
    host = {"host": "console.example.com", "content-type": "application/x-www-form-urlencoded"}
    link = console.user("far")
    plain = console.ask("POST", link, b"", host | {"origin": "http://console.example.com"})
    assert plain.status == 403
    done = console.ask("POST", link, b"", host | {"origin": "https://console.example.com"})
    cookie = done.headers["set-cookie"]
    assert cookie.startswith("__Host-airoxy=")
    assert "; secure" in cookie.lower()


def test_every_answer_forbids_frames_foreign_scripts_and_keeping(console):
    browser = console.browser("framed")
    answers = [
        browser.get("/"), browser.get("/nowhere"), console.ask("GET", "/login"),
        console.ask("GET", "/"), console.ask("GET", "/login", headers={"host": "evil.example"}),
        console.ask("POST", "/login"), console.ask("PUT", "/login"),
    ]  # fmt: skip
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_pages_have_no_inline_script_and_no_inline_style(console):
    browser = console.browser("inline")
    for route in all_routes():
        if "GET" in route.handlers and "{" not in route.path and "/api/" not in route.path:
            reply = browser.get(route.path)
            if "content-disposition" in reply.headers:
                continue  # a file that is saved, with a policy of its own
            text = reply.text
            assert " style=" not in text
            assert "<style" not in text
            assert "javascript:" not in text
            assert " on" not in [word[:3] for word in text.split("<") if word[:3] == " on"]


def test_a_viewer_does_not_see_what_is_for_admins(console):
    browser = console.browser("looking", VIEWER)
    hidden = [route for route in all_routes() if route.needs_admin("GET")]
    assert hidden
    for route in all_routes():
        if "GET" in route.handlers and "/link/" not in route.path:
            path = route.path.replace("{", "").replace("}", "")
            assert (browser.get(path).status == 403) == (route in hidden), path


def test_a_viewer_changes_nothing(console):
    browser = console.browser("viewer", VIEWER)
    own = ("/logout", "/account")
    for method, path in CHANGES:
        if not path.startswith(own):
            headers = {
                "cookie": browser.cookie, "origin": console.origin, "x-csrf-token": browser.csrf,
            }  # fmt: skip
            assert console.ask(method, path, b"", headers).status == 403, path


@pytest.mark.parametrize("length", [65537, 10**9])
def test_a_body_that_is_larger_than_any_form_is_refused(console, length):
    headers = {"origin": console.origin, "content-length": str(length), "host": "localhost"}
    request = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    told = through(
        console.socket, f"POST /login HTTP/1.1\r\n{request}connection: close\r\n\r\nbegun".encode()
    )
    assert told.startswith(b"HTTP/1.1 413 ")


def test_the_unix_socket_is_for_the_owner_and_the_group(console):
    assert console.socket.stat().st_mode & 0o777 == 0o660
    told = through(
        console.socket, b"GET /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    assert told.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        (None, "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        (None, "", "this machine"),
    ],
)
def test_a_client_sits_where_a_trusted_proxy_says(peer, told, client):
    origin = OwnOrigin(trusted=("127.0.0.0/8",))
    assert origin.client(peer, {"x-forwarded-for": told}) == client
