"""One client's odd request behind a proxy never touches what another client is answered."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.program import Airoxy, need
from tests.reliability.raw import HELLO, Client, request

EXPECT = b"expect: 100-continue\r\n"


def nginx(directory: Path, port: int, airoxy: Airoxy) -> list[str]:
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"""daemon off; pid {directory}/pid; error_log stderr warn; worker_processes 1; events {{}}
        http {{ access_log off; {temporary}
          upstream airoxy {{ server 127.0.0.1:{airoxy.port}; keepalive 1; }}
          server {{ listen 127.0.0.1:{port};
            location / {{ proxy_pass http://airoxy; proxy_http_version 1.1;
              proxy_set_header Connection ""; proxy_request_buffering off; }} }} }}"""
    )
    return [need("nginx"), "-p", str(directory), "-e", "stderr", "-c", f"{directory}/nginx.conf"]


def haproxy(directory: Path, port: int, airoxy: Airoxy) -> list[str]:
    (directory / "haproxy.cfg").write_text(
        f"""defaults
          mode http
          timeout connect 5s
          timeout client 30s
          timeout server 30s
          http-reuse always
        listen airoxy
          bind 127.0.0.1:{port}
          server airoxy 127.0.0.1:{airoxy.port} maxconn 1\n"""
    )
    return [need("haproxy"), "-db", "-f", f"{directory}/haproxy.cfg"]


def caddy(directory: Path, port: int, airoxy: Airoxy) -> list[str]:
    """With what lets Go wait for 100 before it sends a body."""
    (directory / "Caddyfile").write_text(
        f"""{{
            admin off
            auto_https off
        }}
        http://127.0.0.1:{port} {{
            reverse_proxy 127.0.0.1:{airoxy.port} {{
                transport http {{
                    expect_continue_timeout 10s
                    max_conns_per_host 1
                }}
            }}
        }}
        """
    )
    return [need("caddy"), "run", "--config", f"{directory}/Caddyfile", "--adapter", "caddyfile"]


def go(directory: Path, port: int, airoxy: Airoxy) -> list[str]:
    program = directory / "front"
    source = Path(__file__).with_name("front.go")
    environ = os.environ | {"GOCACHE": str(directory / "cache"), "GO111MODULE": "off"}
    subprocess.run([need("go"), "build", "-o", program, source], check=True, env=environ)
    return [str(program), str(port), f"http://127.0.0.1:{airoxy.port}"]


@pytest.fixture(scope="module", params=[nginx, haproxy, caddy, go])
def front(
    request: pytest.FixtureRequest,
    site: tuple[Airoxy, str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    """The port of a proxy that has one connection to airoxy and uses it again."""
    directory, port = tmp_path_factory.mktemp("front"), free_port()
    command: Callable[[Path, int, Airoxy], list[str]] = request.param
    home = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with subprocess.Popen(
        command(directory, port, site[0]), env=os.environ | home, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not _listens(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    return False


def ask(port: int, data: bytes) -> int:
    """The status that a client of its own connection gets."""
    with Client(port) as client:
        answer = client.send(data).answer()
        assert answer
        return answer.status


ATTACKS = {
    "a body that was not asked for": request("ak-" + "x" * 40, HELLO, headers=EXPECT),
    "a body that was not asked for in other words": request(
        "ak-" + "x" * 40, HELLO, headers=EXPECT.replace(b"\r\n", b", x\r\n")
    ),
    "only the promise of a body": request("ak-" + "x" * 40, HELLO, headers=EXPECT)[: -len(HELLO)],
    "a request as a body": request("ak-" + "x" * 40, request("ak-" + "y" * 40), headers=EXPECT),
    "a large body": request("ak-" + "x" * 40, b"." * 300_000),
    "a large body that stops": request("ak-" + "x" * 40, b"." * 300_000)[:-1000],
    "a body that is not as long as it says": request("ak-" + "x" * 40, b"." * 5000)[:-5],
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_next_client_gets_its_own_answer(
    front: int, key: str, upstream: object, attack: bytes
) -> None:
    for _ in range(3):
        with Client(front) as client:
            client.send(attack)
            client.socket.settimeout(1)  # Go gives some of these no answer before their body
            with contextlib.suppress(TimeoutError):
                client.answer()
        assert ask(front, request(key)) == 200
