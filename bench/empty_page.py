"""An empty page of Falcon on uvicorn: what no page of the console can be faster than."""

from __future__ import annotations

import sys

import falcon.asgi
import uvicorn


class _Empty:
    async def on_get(self, _: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        response.content_type, response.data = "text/html; charset=utf-8", b"<!doctype html>"


if __name__ == "__main__":
    app: falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response] = falcon.asgi.App()
    app.add_route("/", _Empty())
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), http="h11", loop="none", ws="none",
        lifespan="off", interface="asgi3", log_config=None, access_log=False, server_header=False,
        proxy_headers=False,
    )  # fmt: skip
