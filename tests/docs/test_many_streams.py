"""nginx as the operators' guide has it carries a thousand streams at once."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import ssl

import pytest

from tests.docs import proxies
from tests.docs.curl import HELLO
from tests.program import ROOT

STREAMS = 1000
GUIDE = (ROOT / proxies.GUIDE).read_text()


@pytest.fixture
def descriptors():
    """Enough of them for the streams, here and in nginx."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 8 * STREAMS:
        pytest.skip("too few file descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (8 * STREAMS, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_nginx_carries_a_thousand_streams(descriptors, install, upstream, tmp_path):
    [connections] = re.findall(r"s/worker_connections 768;/worker_connections (\d+);/", GUIDE)
    [files] = re.findall(r"echo '(worker_rlimit_nofile \d+;)'", GUIDE)
    airoxy = install().start()
    airoxy.token("sk-ant-api-test-one")
    gate = upstream.script(times=None).paced()
    directory = tmp_path / "front"
    directory.mkdir()
    # As root nginx may raise the limit; else it has what the fixture has set.
    main = f"{files} events {{ worker_connections {connections}; }}"
    with proxies.nginx(directory, [airoxy.port], main=main) as proxy:
        streams = asyncio.run(begin(proxy.port, proxy.trust, airoxy.key(), gate))
    assert streams == STREAMS


async def begin(port: int, trust: ssl.SSLContext, key: str, gate) -> int:
    """How many of the streams, all of them open at once, have brought their events."""
    body = json.dumps(HELLO | {"stream": True}).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: {proxies.NAME}\r\nx-api-key: {key}\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    together = asyncio.Semaphore(50)
    writers = []

    async def one() -> bool:
        async with together:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trust, server_hostname=proxies.NAME
            )
            writers.append(writer)
            writer.write(head + body)
        status = await reader.readline()
        if b" 200 " not in status:
            return False
        await reader.readuntil(b"message_start")
        return True

    waiting = [asyncio.create_task(one()) for _ in range(STREAMS)]
    await asyncio.to_thread(gate.wait_arrived, STREAMS, 120)
    gate.open()
    begun = await asyncio.gather(*waiting)
    for writer in writers:
        writer.transport.abort()
    return sum(begun)
