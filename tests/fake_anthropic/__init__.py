"""An Anthropic to test against: its endpoints, its credentials, its errors, its streams.

It is plain asyncio on plain sockets and needs only the standard library, so that every byte it
sends is a byte that a test chose, and every byte it got is there to be looked at. It runs in a
thread of its own:

    with FakeAnthropic() as upstream:
        upstream.script(token="sk-ant-api-test-one").limit(retry_after=30)
        …                                               # use upstream.url
        assert upstream.tokens == ["sk-ant-api-test-one", "sk-ant-api-test-two"]

or by itself: `python3 -m tests.fake_anthropic --port 4000`.
"""

from tests.fake_anthropic.script import Gate, Script
from tests.fake_anthropic.server import FakeAnthropic
from tests.fake_anthropic.wire import Exchange, Seen

__all__ = ["Exchange", "FakeAnthropic", "Gate", "Script", "Seen"]
