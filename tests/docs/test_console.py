"""The console behind nginx and Caddy with the configurations of its guide, and through its tunnels
of SSH."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from getpass import getuser
from pathlib import Path

import pytest

from tests.console.running import Browser, Console
from tests.docs.guide import block, put
from tests.docs.proxies import Proxy
from tests.ports import free_port
from tests.program import ROOT, need
from tests.upstream.certificates import Authority

GUIDE = "docs/console.md"
NAME = "console.example.com"


def nginx(directory, backend: int) -> Proxy:
    program, port, authority = need("nginx"), free_port(), Authority(directory / "ca")
    certificate, key = authority.files(f"DNS:{NAME},IP:127.0.0.1")
    site = put(
        block(GUIDE, "nginx"),
        {
            "127.0.0.1:3801": f"127.0.0.1:{backend}",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "/etc/ssl/airoxy/fullchain.pem": str(certificate),
            "/etc/ssl/airoxy/privkey.pem": str(key),
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in kinds)
    (directory / "nginx.conf").write_text(
        f"daemon off; pid {directory}/pid; error_log stderr warn; worker_processes 1;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{site}}}\n"
    )
    command = [program, "-p", str(directory), "-e", "stderr", "-c", f"{directory}/nginx.conf"]
    return Proxy(command, directory, port, authority.trusting())


def caddy(directory, backend: int) -> Proxy:
    program, port, authority = need("caddy"), free_port(), Authority(directory / "ca")
    certificate, key = authority.files(f"DNS:{NAME},IP:127.0.0.1")
    file = put(
        block(GUIDE, "caddy"),
        {
            f"{NAME} {{": f"https://{NAME}, https://127.0.0.1 {{",
            "127.0.0.1:3801": f"127.0.0.1:{backend}",
            "/etc/ssl/airoxy/fullchain.pem": str(certificate),
            "/etc/ssl/airoxy/privkey.pem": str(key),
        },
    )
    options = f"{{\nadmin off\nauto_https disable_redirects\nhttps_port {port}\n}}\n"
    (directory / "Caddyfile").write_text(options + file)
    command = [program, "run", "--config", f"{directory}/Caddyfile", "--adapter", "caddyfile"]
    home = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return Proxy(command, directory, port, authority.trusting(), home)


def _sees_at_once(proxy: Proxy, cookie: str) -> None:
    """What is live is not kept back by the proxy."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", proxy.port, timeout=30, context=proxy.trust
    )
    connection.request("GET", "/api/live?only=numbers", headers={"host": NAME, "cookie": cookie})
    lines = iter(connection.getresponse().readline, b"")
    assert any(line.startswith(b"event: numbers") for line in lines)
    connection.close()


@pytest.mark.parametrize("front", [nginx, caddy])
def test_a_user_logs_in_through_a_proxy_and_the_session_is_of_tls(
    tmp_path, front: Callable[..., Proxy]
):
    (tmp_path / "console").mkdir()
    (tmp_path / "proxy").mkdir()
    console = Console(tmp_path / "console", console={"public_url": f"https://{NAME}"}).start()
    try:
        with front(tmp_path / "proxy", console.port) as proxy:
            proxy.trust.check_hostname = False
            connection = http.client.HTTPSConnection(
                "127.0.0.1", proxy.port, timeout=30, context=proxy.trust
            )
            origin = {"host": NAME, "origin": f"https://{NAME}"}
            connection.request("POST", console.user("far"), headers=origin)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 303, proxy.told
            cookie = answer.headers["set-cookie"].partition(";")[0]
            assert cookie.startswith("__Host-airoxy=")
            connection.request("GET", "/account", headers={"host": NAME, "cookie": cookie})
            page = connection.getresponse().read().decode()
            assert "Log out" in page
            _sees_at_once(proxy, cookie)
            (csrf,) = re.findall(r'<meta name="csrf" content="(\w+)">', page)
            sent = origin | {"cookie": cookie, "content-type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/logout", f"csrf={csrf}", sent)
            assert connection.getresponse().status == 303
            connection.close()
    finally:
        console.stop()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Proxy]:
    """One that lets in whoever runs the tests, with a key of their own."""
    program, port, directory = need("sshd"), free_port(), tmp_path / "sshd"
    directory.mkdir()
    for name in ("host", "user"):
        command = [need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", directory / name]
        subprocess.run(command, check=True)
    (directory / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\n"
        f"AuthorizedKeysFile {directory}/user.pub\nStrictModes no\nUsePAM no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its unit makes it
    command = [program, "-D", "-e", "-f", f"{directory}/config"]
    with Proxy(command, directory, port, ssl.create_default_context()) as found:
        yield found


def tunnel(sshd: Proxy, directory: Path, forwarded: str, console: str) -> Proxy:
    """The guide's command, on a port of its own."""
    assert f"3801:{forwarded} airoxy.example.com" in (ROOT / GUIDE).read_text()
    directory.mkdir()
    port, keys = free_port(), sshd.directory
    options = (f"IdentityFile={keys}/user", f"UserKnownHostsFile={directory}/known",
               "StrictHostKeyChecking=no", "IdentitiesOnly=yes", "BatchMode=yes",
               "ExitOnForwardFailure=yes")  # fmt: skip
    command = [need("ssh"), "-F", "none", "-N", "-p", str(sshd.port), "-L", f"{port}:{console}",
               *(f"-o{option}" for option in options), f"{getuser()}@127.0.0.1"]  # fmt: skip
    return Proxy(command, directory, port, ssl.create_default_context())


@pytest.mark.parametrize("forwarded", ["127.0.0.1:3801", "/run/airoxy/console.sock"])
def test_a_user_logs_in_through_a_tunnel_of_ssh_and_changes_something(
    tmp_path: Path, sshd: Proxy, forwarded: str
) -> None:
    with contextlib.closing(Console(tmp_path / "console").start()) as console:
        target = str(console.socket) if "/" in forwarded else f"127.0.0.1:{console.port}"
        with tunnel(sshd, tmp_path / "ssh", forwarded, target) as ssh:
            far = Through(console, ssh.port)
            browser = Browser(far)
            assert browser.post(console.user("far")).status == 303
            made = browser.post("/keys", name="through")
            assert (made.status, "through" in browser.get("/keys").text) == (200, True)
            elsewhere = browser.post("/keys", {"origin": "http://evil.example"}, name="stolen")
            assert elsewhere.status == 403
            assert far.ask("GET", "/login", headers={"host": "evil.example"}).status == 421


class Through(Console):
    """The console as a browser at the near end of a tunnel has it."""

    def __init__(self, console: Console, port: int) -> None:
        self.near, self.port = console, port
