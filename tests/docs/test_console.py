"""The console behind nginx and Caddy, with the configurations of its guide."""

from __future__ import annotations

import http.client
from collections.abc import Callable

import pytest

from tests.console.running import Console
from tests.docs.guide import block, put
from tests.docs.proxies import Proxy
from tests.ports import free_port
from tests.program import need
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
            connection.close()
    finally:
        console.stop()
