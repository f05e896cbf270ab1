"""nginx, Caddy and HAProxy from the distribution, with the guide's configurations and a certificate
of our own, on loopback ports.

Invariant: what was started is stopped, by its own process id.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.docs.guide import block, put
from tests.ports import free_port
from tests.program import need
from tests.upstream.certificates import Authority

GUIDE = "docs/operators-guide.md"
NAME = "airoxy.example.com"


@dataclass
class Proxy:
    """A program that has TLS on `port`; `trust` is what a client needs to believe it."""

    command: list[str]
    directory: Path
    port: int
    trust: ssl.SSLContext
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def told(self) -> str:
        return (self.directory / "told").read_text(errors="replace")

    def __enter__(self) -> Self:
        with (self.directory / "told").open("wb") as told:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=told, stderr=told,
                env=os.environ | self.environ, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_listening()
        except BaseException:
            self._end()
            raise
        return self

    def _wait_listening(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"{self.command} did not start:\n{self.told}"
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"{self.command} does not listen:\n{self.told}")

    def __exit__(self, *exc: object) -> None:
        self._end()

    def _end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def nginx(directory: Path, backends: list[int], main: str = "events {}") -> Proxy:
    """The site of the guide, in an nginx.conf that is Debian's but for paths and `main`."""
    program, port, authority = need("nginx"), free_port(), Authority(directory / "ca")
    certificate, key = authority.files(f"DNS:{NAME},IP:127.0.0.1")
    site = put(
        block(GUIDE, "nginx", "sites-available/airoxy"),
        {
            "127.0.0.1:3800": f"127.0.0.1:{backends[0]}",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "/etc/ssl/airoxy/fullchain.pem": str(certificate),
            "/etc/ssl/airoxy/privkey.pem": str(key),
        },
    )
    (directory / "site").write_text(site)
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = directory / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {directory}/pid; error_log stderr warn; worker_processes 1;\n"
        f"{main}\nhttp {{ access_log {directory}/access;\n{temporary}gzip on;\n"
        f"include {directory}/site;\n}}\n"
    )
    command = [program, "-p", str(directory), "-e", "stderr", "-c", str(conf)]
    return Proxy(command, directory, port, authority.trusting())


def caddy(directory: Path, backends: list[int]) -> Proxy:
    """The guide's Caddyfile; the ports are put before it as Caddy's global options."""
    program, port, authority = need("caddy"), free_port(), Authority(directory / "ca")
    certificate, key = authority.files(f"DNS:{NAME},IP:127.0.0.1")
    file = put(
        block(GUIDE, "caddy"),
        {
            f"{NAME} {{": f"https://{NAME}, https://127.0.0.1 {{",
            "127.0.0.1:3800": f"127.0.0.1:{backends[0]}",
            "/etc/ssl/airoxy/fullchain.pem": str(certificate),
            "/etc/ssl/airoxy/privkey.pem": str(key),
        },
    )
    # That it makes this machine trust its own authority, which is not used here, takes a while.
    wanted = ("admin off", "auto_https disable_redirects", "skip_install_trust")
    options = "\n".join(["{", *wanted, f"https_port {port}", "}\n"])
    (directory / "Caddyfile").write_text(options + file)
    command = [program, "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
    home = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return Proxy(command, directory, port, authority.trusting(), home)


def haproxy(directory: Path, backends: list[int]) -> Proxy:
    """The guide's haproxy.cfg, less what takes root, with these hosts for its three."""
    program, port, authority = need("haproxy"), free_port(), Authority(directory / "ca")
    certificate, key = authority.files(f"DNS:{NAME},IP:127.0.0.1")
    (directory / "airoxy.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    hosts = {
        f"10.0.0.{number}:3800": f"127.0.0.1:{backend}"
        for number, backend in enumerate(backends, 1)
    }
    config = put(
        block(GUIDE, "haproxy"),
        {
            "/dev/log": "stderr",
            "    user haproxy\n    group haproxy\n": "",
            "bind :443 ": f"bind 127.0.0.1:{port} ",
            "/etc/haproxy/airoxy.pem": f"{directory}/airoxy.pem",
            **hosts,
        },
    )
    (directory / "haproxy.cfg").write_text(config)
    command = [program, "-db", "-f", str(directory / "haproxy.cfg")]
    return Proxy(command, directory, port, authority.trusting())
