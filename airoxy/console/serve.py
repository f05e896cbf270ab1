"""The console's process: its sockets, its servers, and its end once it is no longer used."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import apsw
import uvicorn

from airoxy.config import Config
from airoxy.config.certificate import read_certificate
from airoxy.config.listen import endpoints
from airoxy.console.app import create_app
from airoxy.console.hosts.others import OtherHosts
from airoxy.console.live.checkup import Examine
from airoxy.console.live.feed import Feed
from airoxy.console.live.rolling_up import RollingUp
from airoxy.console.origin import origin_of
from airoxy.console.threads import DatabaseThreads
from airoxy.console.visit import AskHealth, Services
from airoxy.errors import AiroxyError
from airoxy.server.process.systemd import Notifier, passed_descriptors
from airoxy.store.file.access import GROUP

log = logging.getLogger(__name__)

#: Time without a request after which the process ends; systemd keeps its socket (seconds).
IDLE = 600.0
#: How long running answers may take at the end (seconds).
_PATIENCE = 5.0
#: h11 accepts further versions, which Falcon does not.
_VERSIONS = ("1.0", "1.1")
_NO_BODY = [(b"content-length", b"0"), (b"connection", b"close")]


class Activity:
    """The ASGI application, with a count of what runs in it."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self.running = 0
        self.last = time.monotonic()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["http_version"] not in _VERSIONS:
            await send({"type": "http.response.start", "status": 505, "headers": _NO_BODY})
            await send({"type": "http.response.body"})
            return
        self.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.running -= 1
            self.last = time.monotonic()

    def idle_for(self) -> float:
        return 0.0 if self.running else time.monotonic() - self.last


def _without_traceback(record: logging.LogRecord) -> bool:
    """What is no HTTP is a line of the journal, and no fault."""
    if record.msg == "Invalid HTTP request received.":
        record.exc_info = None
    return True


class _Server(uvicorn.Server):
    """One without handlers of signals: there may be two, with TLS and without."""

    def install_signal_handlers(self) -> None:
        """Of uvicorn until 0.28."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve_console(
    config: Config,
    *,
    ask_health: AskHealth,
    examine: Examine,
    share: Callable[[apsw.Connection], None],
    say: Callable[[str], None],
    others: OtherHosts | None = None,
    environ: MutableMapping[str, str] = os.environ,
    idle: float = IDLE,
) -> None:
    """Serve on the sockets that systemd passes, until nobody has asked for `idle` seconds, or on
    those of the configuration, until a signal. Raises AiroxyError."""
    logging.getLogger("uvicorn.error").addFilter(_without_traceback)
    notifier = Notifier(environ)
    passed = passed_descriptors(environ).listeners
    sockets = passed or bind_sockets(config)
    services = Services(config, time.time, ask_health, examine, share, others=others)
    threads = DatabaseThreads(config.database)
    # One thread, so that one connection sees what others have committed since its last look.
    looking = DatabaseThreads(config.database, 1)
    feed = Feed(services, looking)
    rolling_up: RollingUp | None = None
    try:
        # The certificate first: it may be a credential, or for this user alone.
        context = _tls(config, environ)
        activity = Activity(create_app(services, threads, origin_of(config), feed))
        where = f"The console is at {' and '.join(config.console.addresses)}; Ctrl-C ends it."

        def ready() -> None:
            nonlocal rolling_up
            notifier.ready()
            rolling_up = RollingUp(config.database)
            if not passed:
                say(where)

        limit = idle if passed else None
        asyncio.run(_serve(activity, feed, sockets, context, ready, limit))
        notifier.stopping()
    finally:
        if rolling_up:
            rolling_up.close()
        threads.close()
        looking.close()
        for each in sockets:
            each.close()
        if not passed:
            _forget_paths(config)
        notifier.close()


async def _serve(
    activity: Activity,
    feed: Feed,
    sockets: Sequence[socket.socket],
    context: ssl.SSLContext | None,
    ready: Callable[[], None],
    idle: float | None,
) -> None:
    plain = [each for each in sockets if context is None or each.family == socket.AF_UNIX]
    secured = [each for each in sockets if each not in plain]
    servers = [(_server(activity, None), plain), (_server(activity, context), secured)]
    running = [asyncio.ensure_future(server.serve(sockets=own)) for server, own in servers if own]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready()
    await _until_over(stop, activity, running, idle)
    await feed.close()
    for server, _ in servers:
        server.should_exit = True
    _, late = await asyncio.wait(running, timeout=_PATIENCE)
    if late:
        for server, _ in servers:
            server.force_exit = True
    await asyncio.gather(*running)


async def _until_over(
    stop: asyncio.Event,
    activity: Activity,
    running: Sequence[asyncio.Future[Any]],
    idle: float | None,
) -> None:
    """A signal, or a server that ends by itself, or nothing to do."""
    signalled: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    while True:
        left = None if idle is None else max(0.01, idle - activity.idle_for())
        done, _ = await asyncio.wait(
            {signalled, *running}, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        if done or (idle is not None and activity.idle_for() >= idle):
            signalled.cancel()
            return


def _server(activity: Activity, context: ssl.SSLContext | None) -> _Server:
    config = uvicorn.Config(
        activity, http="h11", loop="none", ws="none", lifespan="off", interface="asgi3",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=200,
    )  # fmt: skip
    config.load()
    config.ssl = context
    return _Server(config)


def _tls(config: Config, environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """Raises ConfigError."""
    certificate = read_certificate(config, environ) if config.console.tls else None
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.load_into(context)
    return context


def bind_sockets(config: Config) -> list[socket.socket]:
    """The sockets of `console.listen`, where systemd has none for us. A path whose directory is not
    there, or not ours, is left out as long as there is an address. Raises AiroxyError."""
    bound: list[socket.socket] = []
    places = endpoints(config.console.listen)
    try:
        for place in places:
            try:
                bound.append(_bind(place))
            except OSError as error:
                if isinstance(place, str) and len(places) > 1:
                    continue
                if not isinstance(place, str) and place[0] == "::1" and bound:
                    continue  # localhost, where there is no IPv6
                raise AiroxyError(_refused(place, error)) from error
    except AiroxyError:
        for each in bound:
            each.close()
        raise
    return bound


def _bind(place: tuple[str, int] | str) -> socket.socket:
    if isinstance(place, str):
        return _bind_path(Path(place))
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    # Where the protocol is not said, asyncio does not turn Nagle's algorithm off, and the second
    # part of an answer waits 40 ms for the browser.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_path(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            with socket.socket(socket.AF_UNIX) as other:
                other.connect(os.fspath(path))
            raise FileExistsError(17, "another console listens there")
        if path.is_socket():
            path.unlink()  # nobody listens there any more
        before = os.umask(0o117)
        try:
            sock.bind(os.fspath(path))
        finally:
            os.umask(before)
        with contextlib.suppress(KeyError, OSError):
            os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


def _refused(place: tuple[str, int] | str, error: OSError) -> str:
    where = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
    return f"The console cannot listen on {where}: {error.strerror}; see `console.listen`."


def _forget_paths(config: Config) -> None:
    """The paths of our own sockets."""
    for place in endpoints(config.console.listen):
        if isinstance(place, str):
            with contextlib.suppress(OSError):
                Path(place).unlink()
