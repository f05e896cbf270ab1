"""Every scenario runs on asyncio's loop and on uvloop, and must leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.upstream.certificates import Authority
from tests.upstream.peer import until

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(
    params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine; fails if a task is left over or anything was raised into the loop."""

    def run(scenario: Coroutine[Any, Any, Any]) -> Any:
        complaints: list[dict[str, Any]] = []

        async def watched() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(60):
                result = await scenario
            # A task that was cancelled, or that accepts, ends by itself.
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
            return result

        with asyncio.Runner(loop_factory=request.param) as runner:
            gc.freeze()  # so that looking for garbage is quick
            result = runner.run(watched())
            gc.collect()  # what nobody retrieved complains when it is freed
            gc.unfreeze()
        assert not complaints
        return result

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that a client can be told to trust."""
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one."""
    return Authority(tmp_path_factory.mktemp("tls") / "stranger")
