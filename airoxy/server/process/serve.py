"""`airoxy serve`: what a parent needs before it can begin, and what a worker does.

Invariant: the parent stays small. What is large or can fail (YAML, HTTP, the database) is imported
in its children only.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airoxy import journal
from airoxy.errors import AiroxyError
from airoxy.server.process import binding, orphans, reload
from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.parent import Parent
from airoxy.server.process.reload import Addresses, ParentState
from airoxy.server.process.settings import Settings, read_config, read_settings
from airoxy.server.process.systemd import (
    Notifier,
    Passed,
    is_service,
    passed_descriptors,
    watchdog_interval,
)
from airoxy.server.process.workers import WorkerTimeouts
from airoxy.server.shared_memory import Layout

if TYPE_CHECKING:
    from airoxy.config import Config
    from airoxy.server.process.worker import OpenServer

log = logging.getLogger(__name__)


def _load(path: Path | None) -> Config:
    from airoxy.config import load_config

    return load_config(path)


def _find_app() -> OpenServer:
    from airoxy.server.app import open_server

    return open_server


def serve(
    config_path: Path | None,
    *,
    find_app: Callable[[], OpenServer] = _find_app,
    timeouts: WorkerTimeouts | None = None,
    layout: Layout = LAYOUT,
) -> int:
    """Serve until SIGTERM; the exit status. Raises AiroxyError if it cannot begin."""
    read = partial(_load, config_path)
    if reload.is_dry_run(os.environ):
        return _dry_run(read, find_app)
    journal.set_up()
    # What asks for a reload before the parent can react must not end it.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    _restrict()
    passed = passed_descriptors(os.environ)
    predecessor = _inherit(layout) or orphans.take_over(passed.stored, passed.listeners, layout)
    config, failure = None, ""
    try:
        settings = read_settings(read)
        journal.set_up(settings.log_level)
        state, config = _state(settings, passed, predecessor, layout), settings.config
    except (AiroxyError, OSError) as error:
        if predecessor is None:
            raise
        # The configuration has become wrong since the dry run: the old workers stay.
        state, predecessor, failure = predecessor, None, str(error)
    work = partial(_work, config=config, load=read, find_app=find_app)
    notifier, watchdog = Notifier(os.environ), watchdog_interval(os.environ)
    for name, fd in passed.stored.items():  # a memory of another layout
        os.close(fd)
        notifier.unstore(name)
    parent = Parent(state, work, notifier, watchdog, predecessor=predecessor, timeouts=timeouts)
    return parent.run(failure=failure)


def _inherit(layout: Layout) -> ParentState | None:
    predecessor = reload.inherit(os.environ, layout)
    if predecessor and predecessor.old_layout:
        log.info(
            "This version lays the shared memory out differently: metrics and the counts of rate"
            " limits begin anew."
        )
    return predecessor


def _state(
    settings: Settings, passed: Passed, predecessor: ParentState | None, layout: Layout
) -> ParentState:
    """What the parent holds from now on. Raises AiroxyError."""
    if predecessor is None:
        listeners, addresses = _first_listeners(settings.addresses, passed.listeners)
        memory = orphans.take_memory(passed.stored, layout)
        return ParentState(listeners, addresses, memory, settings.workers)
    listeners, addresses = _next_listeners(settings.addresses, predecessor)
    for worker in predecessor.workers.values():
        worker.old = not worker.leaving
    return replace(predecessor, listeners=listeners, addresses=addresses, count=settings.workers)


def _first_listeners(
    wanted: Addresses, passed: list[socket.socket]
) -> tuple[list[socket.socket], Addresses | None]:
    if passed:
        return passed, None
    if is_service(os.environ):
        raise AiroxyError(
            "systemd has passed no socket to airoxy.service: systemctl restart airoxy.socket"
        )
    return binding.bind(*wanted), wanted


def _next_listeners(
    wanted: Addresses, predecessor: ParentState
) -> tuple[list[socket.socket], Addresses | None]:
    if predecessor.addresses in (None, wanted):
        return predecessor.listeners, predecessor.addresses
    if predecessor.addresses and predecessor.addresses[1] == wanted[1]:
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

    read_config(load)
    find_app()
    return 0


def _work(
    control: socket.socket,
    state: ParentState,
    *,
    config: bytes | None,
    load: Callable[[], Config],
    find_app: Callable[[], OpenServer],
) -> int:
    """What a worker does: its exit status. Without `config` it reads the configuration itself."""
    gc.disable()  # what is imported now is no garbage; `run` enables it
    try:
        from airoxy.server.process.worker import run

        own, certificate = pickle.loads(config) if config else read_config(load)  # noqa: S301 - our child's
        journal.set_up(own.log_level)
        open_app = partial(find_app(), own, state.memory, state.count)
        return run(open_app, state.listeners, control, certificate, shared=state.count > 1)
    except AiroxyError as error:
        log.error("A worker cannot start: %s", error.message)
        return error.exit_status
