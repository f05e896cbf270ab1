"""The TypeScript SDK in a browser, on a page of another origin than airoxy's."""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import ROOT, Airoxy, need

pytestmark = pytest.mark.clients

NODE = ROOT / ".venv/node/node_modules"
PAGE = """<!doctype html><meta charset="utf-8"><title>A tool</title><script type="importmap">
{ "imports": { "@opentelemetry/api": "/@opentelemetry/api/dist/index.mjs",
               "standardwebhooks": "data:text/javascript,export class Webhook {}" } }
</script><script type="module">
import Anthropic from "/@anthropic-ai/sdk/index.mjs";
const told = {};
const asked = { model: "claude-opus-5-5", max_tokens: 50,
                messages: [{ role: "user", content: "Hello" }] };
async function attempt(name, work) {
  try { told[name] = await work(); } catch (error) { told[name] = String(error); }
}
function client(apiKey) {
  return new Anthropic({ apiKey, baseURL: AIROXY, dangerouslyAllowBrowser: true, maxRetries: 0 });
}
await attempt("plain", async () => {
  const { data, request_id } = await client(KEY).messages.create(asked).withResponse();
  return [data.content[0].text, request_id];
});
await attempt("stream", async () =>
  (await client(KEY).messages.stream(asked).finalMessage()).content[0].text);
await attempt("wrong key", async () => {
  try { await client("ak-wrong").messages.create(asked); } catch (error) {
    return [error.status, error.error.error.message];
  }
});
await fetch("/done", { method: "POST", body: JSON.stringify(told) });
</script>
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Airoxy], dict[str, Any]]]:
    """Opens the page in a browser and gives what it reports."""
    told: queue.Queue[dict[str, Any]] = queue.Queue()
    page = PAGE

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map: ClassVar = {".mjs": "text/javascript", "": "text/html"}

        def translate_path(self, path: str) -> str:
            return str(NODE / path.removeprefix("/"))

        def do_GET(self) -> None:
            if self.path != "/":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: the test says what is wrong."""

    def open_page(airoxy: Airoxy) -> dict[str, Any]:
        nonlocal page
        page = PAGE.replace("AIROXY", json.dumps(airoxy.url)).replace(
            "KEY", json.dumps(airoxy.key())
        )
        command = [
            need("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={tmp_path}/profile",
            f"http://localhost:{server.server_port}/",
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as browser:
            try:
                return told.get(timeout=150)
            finally:
                browser.terminate()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield open_page
        finally:
            server.shutdown()
            thread.join()


def test_a_page_of_another_origin_uses_it_plain_and_streamed(
    opened: Callable[[Airoxy], dict[str, Any]],
    install: Callable[..., Airoxy],
    upstream: FakeAnthropic,
) -> None:
    airoxy = install(browsers=True).start()
    airoxy.token("sk-ant-api-test-one")
    told = opened(airoxy)
    text, request_id = told["plain"]
    assert text == told["stream"] == "Hello! This is the fake Anthropic speaking."
    assert request_id.startswith("req_")
    assert told["wrong key"] == [401, "Invalid API key"]
    assert len(upstream.requests) == 2
    assert not any(seen.all("origin") for seen in upstream.requests)


def test_without_the_setting_a_page_gets_nothing(
    opened: Callable[[Airoxy], dict[str, Any]],
    install: Callable[..., Airoxy],
    upstream: FakeAnthropic,
) -> None:
    airoxy = install().start()
    airoxy.token("sk-ant-api-test-one")
    told = opened(airoxy)
    assert "Connection error" in told["plain"]
    assert not upstream.requests
