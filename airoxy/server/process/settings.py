"""The configuration, read in a child, so that the parent imports neither YAML nor TLS."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from airoxy.errors import EXIT_CONFIG, AiroxyError, ConfigError
from airoxy.server.process.child import fork, how_it_ended
from airoxy.server.process.reload import Addresses

if TYPE_CHECKING:
    from airoxy.config import Config
    from airoxy.config.certificate import Certificate


@dataclass(frozen=True)
class Settings:
    """What the parent itself needs of the configuration, and in `config`, pickled, what workers
    need: what the files said when they were read, also for a worker that is replaced later."""

    addresses: Addresses
    workers: int
    log_level: str
    config: bytes


def read_settings(load: Callable[[], Config]) -> Settings:
    """Raises ConfigError."""
    reading, writing = os.pipe()
    pid = fork(partial(_send, load, writing), closing=[reading])
    os.close(writing)
    with open(reading, "rb") as pipe:
        sent = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        kind = ConfigError if os.waitstatus_to_exitcode(status) == EXIT_CONFIG else AiroxyError
        reason = f"The process that reads the configuration {how_it_ended(status)}."
        raise kind(sent.decode() or reason)
    head, _, config = sent.partition(b"\n")
    hosts, port, workers, log_level = json.loads(head)
    return Settings((tuple(hosts), port), workers, log_level, config)


def read_config(load: Callable[[], Config]) -> tuple[Config, Certificate | None]:
    """Everything that a worker works with. Raises ConfigError."""
    from airoxy.config.certificate import read_certificate

    config = load()
    return config, read_certificate(config, os.environ)


def _send(load: Callable[[], Config], writing: int) -> int:
    """What the child does: its exit status. It outlives a parent that is killed meanwhile, and must
    not keep the port: so it has no descriptor but the pipe."""
    os.closerange(3, writing)
    os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
    with suppress(BrokenPipeError), open(writing, "wb") as pipe:
        try:
            config, certificate = read_config(load)
        except AiroxyError as error:
            pipe.write(error.message.encode())
            return error.exit_status
        head = json.dumps([config.hosts, config.port, config.workers, config.log_level])
        pipe.write(head.encode() + b"\n" + pickle.dumps((config, certificate)))
    return 0
