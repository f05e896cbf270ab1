"""What the operators' guide puts in front of airoxy: nginx, Caddy and HAProxy, from the
distribution, with the very files of the guide."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airoxy.config import make_config
from tests.docs import proxies
from tests.docs.curl import HELLO, Curl, sending
from tests.docs.guide import block
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended

ONE = "sk-ant-api-test-one"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture(scope="module")
def served(fake: FakeAnthropic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airoxy]:
    airoxy = Airoxy(tmp_path_factory.mktemp("served"), fake.url)
    with ended([airoxy]):
        airoxy.token(ONE)
        yield airoxy.start()


@pytest.fixture(
    scope="module", params=[proxies.nginx, proxies.caddy, proxies.haproxy], ids=lambda p: p.__name__
)
def front(
    request: pytest.FixtureRequest, served: Airoxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[proxies.Proxy]:
    with request.param(tmp_path_factory.mktemp("front"), [served.port] * 3) as proxy:
        yield proxy


@pytest.fixture
def airoxy(served: Airoxy) -> Airoxy:
    return served


@pytest.fixture
def upstream(fake: FakeAnthropic) -> FakeAnthropic:
    fake.clear()
    return fake


@pytest.fixture(params=["--http1.1", "--http2"])
def curl(request: pytest.FixtureRequest, front: proxies.Proxy, airoxy: Airoxy) -> Curl:
    authority = front.directory / "ca/ca.pem"
    return Curl(front.url, authority, airoxy.key(), request.param)


def test_an_answer_is_anthropics_own(curl, upstream):
    said = curl.post(HELLO, "-D", "/dev/stderr")
    assert said["usage"]["output_tokens"] == 12
    [seen] = upstream.messages
    assert seen.json() == HELLO
    assert not [name for name, _ in seen.headers if b"forwarded" in name.lower()]


def test_an_error_keeps_its_status_and_its_words(curl, upstream):
    upstream.script().limit(message="Slow down.")
    told, status = curl.get("/v1/messages", *sending(HELLO), "-w", "\n%{http_code}").split("\n")
    assert (json.loads(told)["error"]["message"], status) == ("Slow down.", "429")


def test_each_event_arrives_when_it_is_sent(curl, upstream):
    pace = upstream.script().paced()
    with curl.stream() as stream:
        for kind in ("message_start", "content_block_start", "ping", "content_block_delta"):
            pace.release()
            assert next_event(stream) == kind
        pace.open()
        assert b"message_stop" in stream.stdout.read()
        assert stream.wait(20) == 0


def next_event(stream) -> str:
    lines = [stream.stdout.readline() for _ in range(3)]
    return lines[0].decode().removeprefix("event: ").strip()


@pytest.mark.parametrize("events", [0, 3])
def test_a_client_that_leaves_ends_its_request_upstream(curl, airoxy, upstream, events):
    pace = upstream.script().paced()
    before = left(airoxy)
    with curl.stream() as stream:
        seen = pace.wait_arrived()
        pace.release(events)
        for _ in range(events):
            next_event(stream)
    upstream.wait_gone(seen)
    deadline = time.monotonic() + 30
    while not left(airoxy) - before:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # nothing tells another process of a commit


def left(airoxy: Airoxy) -> set[int]:
    """The rows of requests whose client left."""
    return {row["id"] for row in airoxy.wait_logs(0) if row["ending"] == "client_left"}


def test_a_stream_that_breaks_off_has_no_end(curl, request, upstream):
    """And that it broke off, a client hears where the guide says so."""
    upstream.script().broken()
    with curl.stream() as stream:
        assert b"message_stop" not in stream.stdout.read()
        heard = stream.wait(20) != 0
    assert heard == any(each in request.node.name for each in ("nginx", "haproxy---http1.1"))


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A directory for large files, which do not outlive their test."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_a_file_of_50_mb_goes_up_and_comes_down(curl, upstream, large):
    content = os.urandom(50_000_000)
    (large / "there.bin").write_bytes(content)
    made = json.loads(curl.get("/v1/files", "-F", f"file=@{large / 'there.bin'}"))
    assert made["size_bytes"] == len(content)
    curl.get(f"/v1/files/{made['id']}/content", "-o", str(large / "back.bin"))
    assert (large / "back.bin").read_bytes() == content


def test_an_upload_is_not_collected_on_its_way(curl, upstream):
    """Its head is upstream before its end is sent."""
    with curl.begin("/v1/files", "-T", "-", "-X", "POST", "-H", "expect:") as upload:
        upload.stdin.write(b"x" * 6_000_000)
        upstream.wait(lambda: upstream.requests)


def test_a_body_above_anthropics_limit_is_refused_in_airoxys_words(curl, upstream, large):
    (large / "body").write_bytes(b"x" * 34_000_000)
    # Behind Caddy, curl says of one in eight that it was cut off, of one in five on a busy machine:
    # airoxy has sent all of it in one write then, and closes nothing for the next 50 ms.
    again = ("--retry", "20", "--retry-all-errors", "--retry-delay", "1")
    told = curl.get("/v1/messages", "--data-binary", f"@{large / 'body'}", *again)
    assert json.loads(told)["error"] == {
        "type": "request_too_large",
        "message": "Request exceeds the maximum size of 32 MB.",
    }
    assert not upstream.requests


def test_nobody_gets_the_metrics_through_it(curl, airoxy):
    assert airoxy.request("GET", "/metrics").status == 200
    told, status = curl.get("/metrics", "-w", "\n%{http_code}").split("\n")
    assert (json.loads(told)["error"]["type"], status) == ("permission_error", "403")


def test_connections_are_kept_on_both_sides(curl, airoxy):
    before = connections(airoxy.port)
    told = curl.get("/v1/models", "-w", "connects=%{num_connects}\n", times=60)
    # Of all requests one may meet the end of a connection that has carried other tests.
    assert sum(map(int, re.findall(r"connects=(\d+)", told))) <= 2
    # One for each host that HAProxy knows, and those of its looks at /health, three in two seconds;
    # else 60 and those.
    assert connections(airoxy.port) - before < 60


def connections(port: int) -> int:
    """To this port, open or only just closed, counted at one end."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] in ("01", "06") for row in rows)


def test_what_waits_waits_longer_than_airoxy():
    """Else a client would get a page of the proxy's, and a stream be cut between two thoughts."""
    silence = make_config({}).upstream.read_timeout
    files = {language: block(proxies.GUIDE, language) for language in ("caddy", "haproxy")}
    files["nginx"] = block(proxies.GUIDE, "nginx", "sites-available")
    waits = {
        "nginx": ("proxy_read_timeout", "proxy_send_timeout"),
        "caddy": ("response_header_timeout",),
        "haproxy": ("timeout client", "timeout server"),
    }
    for language, names in waits.items():
        for name in names:
            [seconds] = re.findall(rf"^\s*{name} (\d+)s;?$", files[language], re.MULTILINE)
            assert int(seconds) > silence, name


@pytest.mark.clients
def test_anthropics_sdk_through_it(front, airoxy, upstream):
    import anthropic

    with anthropic.DefaultHttpxClient(verify=front.trust, trust_env=False) as http:
        client = anthropic.Anthropic(base_url=front.url, api_key=airoxy.key(), http_client=http)
        assert client.messages.create(**HELLO).usage.output_tokens == 12
        pace = upstream.script().paced()
        with client.messages.create(**HELLO, stream=True) as stream:
            pace.release(2)
            assert next(stream).type == "message_start"
            pace.open()
            assert [event.type for event in stream][-1] == "message_stop"
