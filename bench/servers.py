"""The servers under measurement: the upstream alone, nginx, airoxy, and a peer if one is installed.

Invariant: each is started here in a directory of its own, and stopped by its process id.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine
from tests.ports import free_port
from tests.program import Airoxy

ROOT = Path(__file__).parent.parent
BUILT = ROOT / "build" / "bench"
#: Made by `make bench-peer`.
LITELLM = ROOT / ".venv" / "litellm" / "bin" / "litellm"

NGINX = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
http {{
    access_log off; keepalive_requests 1000000; client_max_body_size 100m;
    client_body_buffer_size 256k; client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
    uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    upstream there {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass {scheme}://there; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; proxy_read_timeout 600s;
        }}
    }}
}}
"""


@dataclass
class Server:
    """Something that answers on `port`; `prefix` leads to Anthropic's paths."""

    name: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    key: str = "none"
    prefix: str = ""
    airoxy: Airoxy | None = None
    #: Of what `process` has started, where it does not answer itself.
    answering: int | None = None

    @property
    def pid(self) -> int:
        if self.answering is not None:
            return self.answering
        process = self.airoxy.process if self.airoxy else self.process
        assert process
        return process.pid

    def stop(self) -> None:
        if self.airoxy:
            self.airoxy.stop()
        elif self.process and self.answering is not None:
            self.process.communicate(b"")
        elif self.process:
            self.process.terminate()
            self.process.wait(20)


def load(server: Server, query: str, *options: str, first: bool = False) -> dict[str, Any]:
    """Run the load generator to its end; what it tells. `first`: before others on its core."""
    running = loading(server, query, *options)
    if first:
        machine.put_first(running.pid)
    return _checked(running.communicate()[0], server)


def loading(
    server: Server, query: str, *options: str, path: str = "/v1/messages"
) -> subprocess.Popen[bytes]:
    """A load generator that runs beside other work."""
    with machine.on(machine.LOAD):
        return subprocess.Popen(
            _load(server, f"{path}?{query}", *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )


def told(loading: subprocess.Popen[bytes], *, refused: bool = False) -> dict[str, Any]:
    """What a load generator tells that ran beside other work; `refused`: as it should be."""
    return _checked(loading.communicate()[0], refused=refused)


def _checked(line: bytes, server: Server | None = None, *, refused: bool = False) -> dict[str, Any]:
    """airoxy answers every request; of the others we only tell."""
    figures: dict[str, Any] = json.loads(line)
    if figures["errors"] and not refused:
        name = server.name if server else "airoxy"
        print(f"{name}: {figures['errors']} of {figures['requests']} failed", flush=True)
        assert "airoxy" not in name, figures
    return figures


def _load(server: Server, target: str, *options: str) -> list[str]:
    path = server.prefix + target
    return [str(BUILT / "load"), "-k", server.key, *options, str(server.port), path]


def certificate(directory: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that everything started from now on trusts."""
    crt, key = str(directory / "crt.pem"), str(directory / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )  # fmt: skip
    os.environ["SSL_CERT_FILE"] = crt
    return crt, key


def upstream(*tls: str) -> Server:
    port = free_port()
    with machine.on(machine.LOAD):
        process = subprocess.Popen([BUILT / "upstream", str(port), *tls])
    return _awaited(Server("upstream alone" if not tls else "upstream, TLS", port, process))


def nginx(directory: Path, name: str, scheme: str, behind: Server) -> Server:
    directory.mkdir()
    port, path = free_port(), directory / "nginx.conf"
    text = NGINX.format(directory=directory, scheme=scheme, upstream=behind.port, port=port)
    # It needs write access to its directories whoever it runs as.
    path.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    with machine.on(machine.PROXY):
        process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(path)],
                                   stderr=subprocess.DEVNULL)  # fmt: skip
    return _awaited(Server(name, port, process))


def airoxy(
    directory: Path,
    name: str,
    scheme: str,
    behind: Server,
    cores: set[int] = machine.PROXY,
    **settings: Any,
) -> Server:
    """With five tokens of a pool, as a team has it."""
    program = Airoxy(directory, f"{scheme}://127.0.0.1:{behind.port}", **settings)
    program.executed = True  # on the processors of this process, and with memory of its own
    key = program.key()
    for number in range(5):
        program.token(f"sk-ant-api-bench-{number}")
    with machine.on(cores):
        program.start()
    assert program.process
    machine.put_on_a_par(program.process.pid)
    return Server(name, program.port, key=key, airoxy=program)


#: Starts the airoxy of the tree that it runs in, until its standard input ends.
_OTHER = """
import sys
from pathlib import Path
from bench import servers
directory, scheme, port = sys.argv[1:]
there = servers.airoxy(Path(directory), "other", scheme, servers.Server("upstream", int(port)))
print(there.port, there.pid, there.key, flush=True)
sys.stdin.read()
there.stop()
"""


def other_airoxy(directory: Path, name: str, scheme: str, behind: Server, tree: Path) -> Server:
    """The airoxy of another tree, as that tree's own bench starts it."""
    command = [sys.executable, "-c", _OTHER, str(directory), scheme, str(behind.port)]
    process = subprocess.Popen(command, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    port, pid, key = process.stdout.readline().decode().split()
    return Server(name, int(port), process, key, answering=int(pid))


def litellm(directory: Path, behind: Server) -> Server | None:
    """LiteLLM's pass-through of Anthropic's API, without a database; None if it is not there."""
    if not LITELLM.exists():
        return None
    directory.mkdir()
    port = free_port()
    (directory / "config.yaml").write_text("general_settings: {master_key: sk-bench}\n")
    environ = os.environ | {
        "ANTHROPIC_API_BASE": f"http://127.0.0.1:{behind.port}",
        "ANTHROPIC_API_KEY": "sk-ant-api-bench",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    with machine.on(machine.PROXY), (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [LITELLM, "--config", str(directory / "config.yaml"), "--port", str(port),
             "--host", "127.0.0.1", "--telemetry", "False"],
            env=environ, stdout=log, stderr=log, cwd=directory,
        )  # fmt: skip
    return _awaited(Server("LiteLLM", port, process, "sk-bench", "/anthropic"), 60)


def _awaited(server: Server, seconds: float = 10) -> Server:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port)).close()
            return server
        time.sleep(0.02)
    server.stop()
    raise SystemExit(f"{server.name} does not answer")
