"""`airoxy serve`: everything a parent needs before it can begin, and its beginning.

The law: the parent is small. What is heavy or can fail (YAML, HTTP, the database) is imported in
its children, the configuration is read in one.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airoxy import journal
from airoxy.errors import EXIT_CONFIG, AiroxyError, ConfigError
from airoxy.server.process import binding, reload
from airoxy.server.process.child import fate, fork
from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.parent import Parent
from airoxy.server.process.reload import Addresses, Inherited
from airoxy.server.process.systemd import (
    Notifier,
    activated_sockets,
    is_service,
    watchdog_interval,
)
from airoxy.server.process.workers import Limits
from airoxy.server.shared_memory import Layout, SharedMemory

if TYPE_CHECKING:
    from airoxy.config import Config
    from airoxy.config.certificate import Certificate
    from airoxy.server.process.worker import OpenServer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What the parent itself needs of the configuration; workers get `config`, a pickle of it and
    of the server's identity, so that one that is replaced later has the same as its colleagues,
    whatever the files say by then."""

    addresses: Addresses
    workers: int
    log_level: str
    config: bytes


def _load(path: Path | None) -> Config:
    from airoxy.config import load_config

    return load_config(path)


def _find_app() -> OpenServer:
    from airoxy.server.app import open_server

    return open_server


def serve(
    config_path: Path | None,
    *,
    load: Callable[[Path | None], Config] = _load,
    find_app: Callable[[], OpenServer] = _find_app,
    limits: Limits | None = None,
    layout: Layout = LAYOUT,
) -> int:
    """Serve until SIGTERM; the exit status. Raises AiroxyError if it cannot begin."""
    if reload.is_dry_run(os.environ):
        return _dry_run(partial(load, config_path), find_app)
    journal.set_up()
    _restrict()
    former = reload.inherit(os.environ, layout)
    if former and not former.kept_memory:
        log.info(
            "This version lays the shared memory out differently: metrics and the counts of rate"
            " limits begin anew."
        )
    config, trouble = None, ""
    try:
        settings = read_settings(partial(load, config_path))
        journal.set_up(settings.log_level)
        inherited, config = _take_up(settings, former, layout), settings.config
    except (AiroxyError, OSError) as error:
        if former is None:
            raise
        # Since the rehearsal something has changed for the worse: what is there goes on.
        inherited, former, trouble = former, None, str(error)
    work = partial(_work, config=config, load=partial(load, config_path), find_app=find_app)
    notifier, watchdog = Notifier(os.environ), watchdog_interval(os.environ)
    parent = Parent(inherited, work, notifier, watchdog, former=former, limits=limits)
    if trouble:
        parent.resume(trouble)
    return parent.run()


def read_settings(load: Callable[[], Config]) -> Settings:
    """The configuration, as a child of ours read it. Raises ConfigError."""
    reading, writing = os.pipe()
    pid = fork(partial(_tell, load, writing), closing=[reading])
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        kind = ConfigError if os.waitstatus_to_exitcode(status) == EXIT_CONFIG else AiroxyError
        raise kind(told.decode() or f"The process that reads the configuration {fate(status)}.")
    head, _, config = told.partition(b"\n")
    hosts, port, workers, log_level = json.loads(head)
    return Settings((tuple(hosts), port), workers, log_level, config)


def _tell(load: Callable[[], Config], writing: int) -> int:
    with open(writing, "wb") as pipe:
        try:
            config, certificate = _read(load)
        except AiroxyError as error:
            pipe.write(error.message.encode())
            return error.exit_status
        head = json.dumps([config.hosts, config.port, config.workers, config.log_level])
        pipe.write(head.encode() + b"\n" + pickle.dumps((config, certificate)))
    return 0


def _read(load: Callable[[], Config]) -> tuple[Config, Certificate | None]:
    """Everything that a worker works with. Raises ConfigError."""
    from airoxy.config.certificate import read_certificate

    config = load()
    return config, read_certificate(config, os.environ)


def _take_up(settings: Settings, former: Inherited | None, layout: Layout) -> Inherited:
    """What the first parent gets together, or its successor takes over and adds."""
    if former is None:
        sockets, addresses = _first_sockets(settings.addresses)
        return Inherited(sockets, addresses, SharedMemory(layout), settings.workers)
    sockets, addresses = _next_sockets(settings.addresses, former)
    for worker in former.workers.values():
        worker.former = not worker.leaving
    return replace(former, sockets=sockets, addresses=addresses, count=settings.workers)


def _first_sockets(wanted: Addresses) -> tuple[list[socket.socket], Addresses | None]:
    if sockets := activated_sockets(os.environ):
        return sockets, None
    if is_service(os.environ):
        raise AiroxyError(
            "systemd has passed no socket to airoxy.service: systemctl restart airoxy.socket"
        )
    return binding.bind(*wanted), wanted


def _next_sockets(
    wanted: Addresses, former: Inherited
) -> tuple[list[socket.socket], Addresses | None]:
    if former.addresses in (None, wanted):
        return former.sockets, former.addresses
    if former.addresses and former.addresses[1] == wanted[1]:
        # The old socket must listen until the new one does, and both cannot have the port.
        raise AiroxyError("another `host` on the same `port` takes effect with a restart only")
    return binding.bind(*wanted), wanted


def _restrict() -> None:
    """No core dump (it would hold secrets), and as many descriptors as we may have."""
    # 1 byte and not 0: Linux takes no notice of the limit where core_pattern pipes dumps to a
    # program, except of this one. Where the limit is 0 already it cannot be raised, and stays.
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _dry_run(load: Callable[[], Config], find_app: Callable[[], OpenServer]) -> int:
    """What a reload will do, up to where it would have an effect. Raises ConfigError."""
    import airoxy.server.process.worker  # noqa: F401 - it loads, or the reload is refused

    _read(load)
    find_app()
    return 0


def _work(
    line: socket.socket,
    inherited: Inherited,
    *,
    config: bytes | None,
    load: Callable[[], Config],
    find_app: Callable[[], OpenServer],
) -> int:
    """A worker's life; without a configuration it reads it itself."""
    gc.disable()  # what is imported now is no garbage; `run` enables it
    try:
        from airoxy.server.process.worker import run

        own, certificate = pickle.loads(config) if config else _read(load)  # noqa: S301 - our child's
        journal.set_up(own.log_level)
        open_app = partial(find_app(), own, inherited.memory, inherited.count)
        return run(open_app, inherited.sockets, line, certificate, shared=inherited.count > 1)
    except AiroxyError as error:
        log.error("A worker cannot start: %s", error.message)
        return error.exit_status
