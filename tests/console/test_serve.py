"""The console's process: systemd's sockets, its end when nobody looks, TLS, and what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest

from airoxy.config import make_config
from airoxy.console.serve import bind_sockets
from airoxy.errors import AiroxyError
from tests.ports import free_port
from tests.program import ROOT, environment

#: As systemd does: a socket as descriptor 3, and the variables that say so. It ends
#: after seconds in which nobody asked, of which its start is a part.
ACTIVATED = """
import os, sys
from pathlib import Path
from airoxy.config import load_config
from airoxy.console.serve import serve_console
os.environ["LISTEN_PID"] = str(os.getpid())
serve_console(load_config(Path(sys.argv[1]), {}), ask_health=lambda: (None, {}),
              examine=list, share=lambda db: None, say=print, idle=float(sys.argv[2]))
"""


def activated(console, idle: float) -> tuple[subprocess.Popen[bytes], int]:
    import socket

    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]

    def as_descriptor_3() -> None:
        os.dup2(sock.fileno(), 3)

    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATED, str(console.config), str(idle)],
        env=environment() | {"LISTEN_FDS": "1"}, cwd=ROOT, pass_fds=(3,) if sock.fileno() == 3
        else (), preexec_fn=as_descriptor_3, close_fds=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    sock.close()
    return process, port


def test_on_a_socket_of_systemds_it_serves_and_ends_when_nobody_looks(make_console):
    process, port = activated(make_console(), 2)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/login")
    assert connection.getresponse().status == 200
    connection.close()
    told, _ = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, b"")


def test_a_signal_ends_it_with_status_0_and_without_its_socket(make_console):
    console = make_console().start()
    assert console.socket.is_socket()
    process = console.process
    console.stop()
    assert process.returncode == 0
    assert not console.socket.exists()


def test_with_tls_the_cookie_is_secure_and_the_unix_socket_stays_plain(make_console, tmp_path):
    from tests.console.running import through
    from tests.upstream.certificates import Authority

    authority = Authority(tmp_path / "authority")
    certificate, key = authority.files()
    console = make_console(
        tls={"certificate": str(certificate), "key": str(key)}, console={"tls": True}
    ).start()
    assert f"https://127.0.0.1:{console.port}" in console.told
    connection = http.client.HTTPSConnection(
        "127.0.0.1", console.port, timeout=60, context=_trusting(authority)
    )
    origin = {"origin": f"https://127.0.0.1:{console.port}"}
    connection.request("POST", console.user("secured"), headers=origin)
    answer = connection.getresponse()
    assert answer.status == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-airoxy=")
    assert "secure" in cookie.lower()
    connection.close()
    request = b"GET /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert through(console.socket, request).startswith(b"HTTP/1.1 200 ")


def _trusting(authority) -> ssl.SSLContext:
    context = authority.trusting()
    context.check_hostname = False
    return context


def test_an_answer_does_not_wait_until_the_browser_has_confirmed_its_first_part():
    (listener,) = bind_sockets(make_config({"console.listen": [f"127.0.0.1:{free_port()}"]}))
    asyncio.run(_accept(listener))


async def _accept(listener: socket.socket) -> None:
    """As uvicorn does; an answer in parts is only sent at once without Nagle's algorithm."""
    accepted = asyncio.get_running_loop().create_future()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            sock = writer.get_extra_info("socket")
            accepted.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async with await asyncio.start_server(connected, sock=listener):
        with socket.create_connection(listener.getsockname()):
            assert await accepted == 1


def test_an_address_that_is_taken_is_named(make_console):
    console = make_console().start()
    config = make_config({"console.listen": (f"127.0.0.1:{console.port}",)})
    with pytest.raises(AiroxyError, match=f"127.0.0.1:{console.port}: .*in use"):
        bind_sockets(config)


def test_a_path_that_somebody_listens_on_is_not_taken_and_a_left_one_is(make_console):
    console = make_console().start()
    config = make_config({"console.listen": (str(console.socket),)})
    with pytest.raises(AiroxyError, match="another console"):
        bind_sockets(config)
    console.process.send_signal(signal.SIGKILL)
    console.process.wait(20)
    console.process = None
    (sock,) = bind_sockets(config)
    sock.close()


def test_a_socket_in_a_directory_that_is_not_there_is_left_out_beside_an_address():
    port = free_port()
    listen = (f"127.0.0.1:{port}", "/nowhere/console.sock")
    (sock,) = bind_sockets(make_config({"console.listen": listen}))
    assert sock.getsockname() == ("127.0.0.1", port)
    sock.close()


def test_a_configuration_whose_tls_lacks_a_certificate_is_refused(make_console):
    console = make_console(console={"tls": True})
    done = subprocess.run(
        [sys.executable, "-m", "airoxy", "--config", str(console.config), "config", "check"],
        env=environment(), cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 78
    assert "console.tls: needs a certificate" in done.stderr + done.stdout
    assert json.loads(console.config.read_text())["console"]["tls"] is True
