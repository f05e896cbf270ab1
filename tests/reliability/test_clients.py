"""Clients that stall, flood, never read or leave: each costs little, and nobody else anything."""

from __future__ import annotations

import contextlib
import itertools
import resource
import select
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import TOKEN
from tests.reliability.load import figure
from tests.reliability.raw import HELLO, STREAM, Client, request

# Slow ones


@pytest.mark.parametrize(
    "beginning", [b"", b"GET /v1/models HTTP/1.1\r\nhost: a\r\n"], ids=["nothing", "half a head"]
)
def test_who_does_not_finish_a_head_is_hung_up_on(install, upstream, beginning):
    airoxy = install({"head": 0.3}).start()
    with Client(airoxy) as client:
        client.send(beginning)
        assert client.rest() == b""


def test_a_head_byte_by_byte_gets_no_more_time_than_any(install, upstream):
    airoxy = install({"head": 0.3}).start()
    with Client(airoxy) as client:
        client.send(b"GET /v1/models HTTP/1.1\r\nx-slow: ")
        deadline = time.monotonic() + 30
        while not select.select([client.socket], [], [], 0.05)[0]:
            assert time.monotonic() < deadline
            client.send(b"a")
        assert client.rest() == b""


def test_who_falls_silent_within_a_body_is_told_and_hung_up_on(install, upstream):
    airoxy = install({"body": 0.3}).start()
    airoxy.token(TOKEN)
    key = airoxy.key()
    whole = request(key)
    before = airoxy.held()
    with Client(airoxy) as client:
        client.send(whole[:-5])
        answer = client.answer()
        assert (answer.status, answer.is_ours) == (408, True)
        assert client.rest() == b""
    assert not upstream.requests
    (row,) = airoxy.wait_logs(1)
    assert (row["ending"], row["status_code"]) == ("client_left", 499)
    airoxy.wait_held(before)


def test_who_falls_silent_within_an_upload_ends_it_upstream_too(install, upstream):
    airoxy = install({"body": 0.3}).start()
    airoxy.token(TOKEN)
    size = 5_000_000
    with Client(airoxy) as client:
        client.send(request(airoxy.key(), b"x" * size, path="/v1/files")[: -size // 2])
        assert client.answer().status == 408
    upstream.wait(lambda: upstream.requests and upstream.requests[0].gone_at)
    assert airoxy.wait_logs(1)[0]["ending"] == "client_left"


def test_a_body_that_comes_slowly_but_steadily_is_taken(install, upstream):
    airoxy = install({"body": 1.0, "head": 0.3}).start()
    airoxy.token(TOKEN)
    whole = request(airoxy.key())
    with Client(airoxy) as client:
        client.send(whole[:-5])
        for byte in whole[-5:-1]:
            assert not select.select([client.socket], [], [], 0.3)[0]
            client.send(bytes((byte,)))
        client.send(whole[-1:])
        assert client.answer().status == 200


def test_who_asks_whether_its_body_may_come_is_told_once(airoxy, key, upstream):
    """Go's client, and so Caddy, hangs up on the sixth time."""
    upload = request(
        key,
        b"x" * 8_000_000,
        path="/v1/files",
        headers=b"expect: 100-continue\r\nconnection: close\r\n",
    )
    with Client(airoxy) as client:
        client.send(upload)
        said = client.rest()
    assert said.count(b"HTTP/1.1 100 Continue\r\n\r\n") == 1
    assert said.count(b"HTTP/1.1 ") == 2


def test_an_upstream_that_takes_its_time_is_not_the_clients_silence(install, upstream):
    airoxy = install({"body": 0.2}).start()
    airoxy.token(TOKEN)
    hold = upstream.script().hold()
    with Client(airoxy) as client:
        client.send(request(airoxy.key()))
        hold.wait_arrived()
        assert not select.select([client.socket], [], [], 0.6)[0]
        hold.release()
        assert client.answer().status == 200


def test_the_rest_of_a_refused_body_is_taken_for_a_while_only(install, upstream):
    airoxy = install({"linger": 0.5}).start()
    with Client(airoxy) as client:
        client.send(request("ak-" + "x" * 40, b"." * 1_000_000)[:500_000])
        assert client.answer().status == 401
        client.send(b"." * 100_000)
        assert client.rest() == b""


def test_who_sends_too_much_hears_of_it(airoxy, key, upstream):
    """The answer would be lost if the connection were closed on what has not been read."""
    before = airoxy.held()
    with Client(airoxy) as client:
        client.send(request(key, b"." * (33 << 20)) + request(key))
        answer = client.answer()
        assert (answer.status, answer.json()["error"]["type"]) == (413, "request_too_large")
        assert client.answer().status == 200
    upstream.close_idle()
    airoxy.wait_held(before)


# Many of them


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Room for so many; what is started meanwhile inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def quickest(airoxy, key) -> float:
    """The seconds that a request takes at best."""
    times = [time.monotonic()]
    for _ in range(10):
        assert airoxy.request("POST", "/v1/messages", HELLO, key=key).status == 200
        times.append(time.monotonic())
    return min(later - earlier for earlier, later in itertools.pairwise(times))


def test_10_000_idle_connections_cost_little_and_keep_nobody_waiting(install, upstream):
    count = 10_000
    with descriptors(count + 500):
        airoxy = install().start()
        airoxy.token(TOKEN)
        key = airoxy.key()
        usual = quickest(airoxy, key)
        before = airoxy.held()
        with contextlib.ExitStack() as stack:
            # 28,000 ports to a destination, and others use them too.
            for n in range(count):
                address = f"127.0.0.{2 + n % 8}"
                stack.enter_context(Client(airoxy, address=address)).send(
                    b"GET /" if n % 2 else b""
                )
            # Each has a task while it is accepted, and none while it is idle.
            while (held := airoxy.held())["descriptors"] < before["descriptors"] + count or held[
                "tasks"
            ] > before["tasks"]:
                time.sleep(0.02)
            more = held["memory"] - before["memory"]
            figure(f"{count:,} idle connections: {more / count:,.0f} bytes each")
            assert more < 8192 * count + (8 << 20)
            assert quickest(airoxy, key) < 20 * usual
        upstream.close_idle()
        airoxy.wait_held(before)


# Those that do not read


def test_who_never_reads_stops_the_upstream(airoxy, key, upstream: FakeAnthropic):
    """The pressure goes all the way back: what lies between is bounded, however long the answer."""
    upstream.script(times=None).flood(1 << 30)
    before, peak = airoxy.held(), airoxy.peak()
    clients = [Client(airoxy, buffer=8192).send(request(key, STREAM)) for _ in range(5)]
    upstream.wait_for(5)
    sent = wait_still(lambda: sum(seen.sent for seen in upstream.requests))
    # What the kernel takes on both sides (36 MB each by its defaults), and far from the whole.
    assert sent < 5 * (128 << 20)
    more = airoxy.peak() - peak
    figure(f"never reads: {sent / 5e6:.1f} MB sent to each, {more / 5e6:.1f} MB held for each")
    assert more < 5 * (2 << 20) + (8 << 20)
    assert airoxy.request("GET", "/health").status == 200
    for client in clients:
        client.close("reset")
    for seen in list(upstream.requests):
        upstream.wait_gone(seen)
    rows = airoxy.wait_logs(5)
    assert {row["ending"] for row in rows} == {"client_left"}
    airoxy.wait_held(before)


def wait_still(figure, pause: float = 0.3) -> int:
    """The figure, once it has stopped growing."""
    deadline = time.monotonic() + 20
    last = -1
    while (now := figure()) != last:
        assert time.monotonic() < deadline, f"still growing: {now}"
        last = now
        time.sleep(pause)
    return now


def test_who_leaves_answers_lie_is_given_up_by_the_kernel(install, upstream):
    airoxy = install({"unread": 1}).start()
    airoxy.token(TOKEN)
    before = airoxy.held()
    upstream.script().flood(1 << 30)
    with Client(airoxy, buffer=8192) as client:
        client.send(request(airoxy.key(), STREAM))
        (seen,) = upstream.wait_for(1)
        upstream.wait_gone(seen, timeout=20)
        airoxy.wait_held(before)


# Those that leave


#: What was sent, and whether that is enough for the upstream to hear of it.
STAGES = {
    "before a byte": (b"", False),
    "within the head": (request("KEY")[:40], False),
    "within the body": (request("KEY")[:-5], False),
    "before the answer": (request("KEY"), True),
    "with another request behind": (request("KEY") * 2, True),
    "with a large body behind": (request("KEY", b" " * 300_000), True),
    "within an upload": (request("KEY", b"x" * 5_000_000, path="/v1/files")[:-1000], True),
}


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_leaving_leaves_nothing_behind_wherever_it_happens(airoxy, key, upstream, how):
    upstream.script(times=None).hold()
    before = airoxy.held()
    for sent, heard in STAGES.values():
        for _ in range(3):
            arrived = len(upstream.requests) + heard
            with Client(airoxy) as client:
                client.send(sent.replace(b"KEY", key.encode()))
                upstream.wait(lambda arrived=arrived: len(upstream.requests) >= arrived)
                client.close(how)
    upstream.wait(lambda: all(seen.gone_at for seen in upstream.requests))
    airoxy.wait_held(before)
    rows = airoxy.wait_logs(12)
    assert {(row["ending"], row["status_code"]) for row in rows} == {("client_left", 499)}


# Whose answer is it


def test_every_answer_belongs_to_its_request(airoxy, key, upstream: FakeAnthropic):
    """200 clients on kept connections, while tokens fail over and answers break."""
    for n in range(3):
        airoxy.token(f"sk-ant-api-test-more-{n}")
    trouble = (upstream.script(when=every(17), times=None).overloaded(),
               upstream.script(when=every(23), times=None).limit(),
               upstream.script(when=every(31), times=None).broken(after=2),
               upstream.script(when=every(37), times=None).hang_up("reset"))  # fmt: skip
    assert trouble
    before = airoxy.held()
    crowd = [Tagged(airoxy, key, number) for number in range(200)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    assert [one.wrong for one in crowd if one.wrong] == []
    assert sum(one.right for one in crowd) > 200 * Tagged.ROUNDS // 2
    assert any(one.broken for one in crowd)
    airoxy.wait_logs(200 * Tagged.ROUNDS)
    upstream.close_idle()
    airoxy.wait_held(before)


def every(nth: int):
    """Matches one request in `nth`."""
    count = 0

    def matches(seen) -> bool:
        nonlocal count
        count += 1
        return count % nth == 0

    return matches


class Tagged(threading.Thread):
    """A client that asks for a model of its own name and wants that back, in any form."""

    ROUNDS = 5

    def __init__(self, airoxy, key: str, number: int) -> None:
        super().__init__()
        self.airoxy, self.key, self.number = airoxy, key, number
        self.right = self.broken = 0
        self.wrong: list[bytes] = []

    def run(self) -> None:
        client = Client(self.airoxy)
        for n in range(self.ROUNDS):
            tag = b"model-%d-%d-" % (self.number, n)
            body = b'{"model":"%b","max_tokens":1,"stream":%b,"messages":[]}' % (
                tag, b"true" if (self.number + n) % 2 else b"false"
            )  # fmt: skip
            client.send(request(self.key, body))
            answer = client.answer()
            if answer and answer.status == 200 and answer.whole:
                mine = answer.body.count(tag) == answer.body.count(b'"model-') == 1
                self.right += mine
                if not mine:
                    self.wrong.append(answer.body)
            elif answer and answer.whole:
                self.broken += 1
            else:
                self.broken += 1
                client.close()
                client = Client(self.airoxy)
        client.close()
