"""Batches and files: what an account makes, and what it finds again.

Invariant: what belongs to an account is found with that account's tokens only. A token's account is
what follows its prefix, up to the dot that a refresh puts before its count: the tokens
`sk-ant-oat-test-one`, `sk-ant-ort-test-one` and `sk-ant-oat-test-one.2` are all of `test-one`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.fake_anthropic import messages
from tests.fake_anthropic.wire import Exchange, Seen

if TYPE_CHECKING:
    from tests.fake_anthropic.api import Api


class Refused(Exception):
    """Answered as an error in Anthropic's shape."""

    def __init__(self, status: int, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, details


def account(token: str) -> str:
    return re.sub(r"^sk-ant-[a-z]+\d*-|\..*$", "", token)


class Resources:
    """Everything that was made, with its owner."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._batches: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {}
        self._files: dict[str, tuple[str, dict[str, Any], bytes]] = {}

    async def batch(self, x: Exchange, method: str, id_: str = "", what: str = "") -> None:
        mine = account(x.seen.token or "")
        if (method, id_) == ("POST", ""):
            return await self._api.json(x, self._make_batch(x, mine))
        if (method, id_) == ("GET", ""):
            owned = [batch for owner, batch, _ in self._batches.values() if owner == mine]
            return await self._api.json(x, page(owned))
        owner, batch, requests = self._batches.get(id_, ("", {}, []))
        if not batch or owner != mine:
            raise Refused(404, f"Message Batch {id_} not found.")
        match (method, what):
            case ("GET", ""):
                batch["processing_status"] = "ended"
                batch["ended_at"] = batch["created_at"]
                batch["results_url"] = (
                    f"http://{x.seen.header('host')}/v1/messages/batches/{id_}/results"
                )
                await self._api.json(x, batch)
            case ("GET", "results"):
                await x.respond(
                    200,
                    self._api.headers(x, "application/x-jsonl"),
                    b"".join(self._result(line) for line in requests),
                )
            case ("POST", "cancel"):
                batch["processing_status"] = "canceling"
                await self._api.json(x, batch)
            case ("DELETE", ""):
                del self._batches[id_]
                await self._api.json(x, {"id": id_, "type": "message_batch_deleted"})
            case _:
                raise Refused(404, "Not Found")

    def _make_batch(self, x: Exchange, owner: str) -> dict[str, Any]:
        requests = fields(x.seen, "requests")["requests"]
        id_ = f"msgbatch_{next(self._api.numbers):024d}"
        none_yet = dict.fromkeys(("canceled", "errored", "expired", "succeeded"), 0)
        batch: dict[str, Any] = {
            "id": id_,
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": len(requests), **none_yet},
            "created_at": stamp(),
            "expires_at": stamp(timedelta(days=1)),
            "ended_at": None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
        }
        self._batches[id_] = (owner, batch, requests)
        return batch

    def _result(self, asked: dict[str, Any]) -> bytes:
        usage = self._api.usage | {"service_tier": "batch"}
        said = messages.message(next(self._api.numbers), asked["params"]["model"], usage=usage)
        result = {"type": "succeeded", "message": said}
        return json.dumps({"custom_id": asked["custom_id"], "result": result}).encode() + b"\n"

    async def file(self, x: Exchange, method: str, id_: str = "", what: str = "") -> None:
        mine = account(x.seen.token or "")
        if (method, id_) == ("POST", ""):
            return await self._api.json(x, self._make_file(x.seen, mine))
        if (method, id_) == ("GET", ""):
            owned = [about for owner, about, _ in self._files.values() if owner == mine]
            return await self._api.json(x, page(owned))
        owner, about, content = self._files.get(id_, ("", {}, b""))
        if not about or owner != mine:
            raise Refused(404, f"File {id_} not found.")
        match (method, what):
            case ("GET", ""):
                await self._api.json(x, about)
            case ("GET", "content"):
                await x.respond(200, self._api.headers(x, about["mime_type"]), content)
            case ("DELETE", ""):
                del self._files[id_]
                await self._api.json(x, {"id": id_, "type": "file_deleted"})
            case _:
                raise Refused(404, "Not Found")

    def _make_file(self, seen: Seen, owner: str) -> dict[str, Any]:
        name, kind, content = file_part(seen)
        about: dict[str, Any] = {
            "id": f"file_{next(self._api.numbers):024d}",
            "type": "file",
            "filename": name,
            "mime_type": kind,
            "size_bytes": len(content),
            "created_at": stamp(),
            "downloadable": True,
        }
        self._files[about["id"]] = (owner, about, content)
        return about


def fields(seen: Seen, needs: str = "model") -> dict[str, Any]:
    try:
        data = json.loads(seen.body)
    except (ValueError, RecursionError):
        raise Refused(400, "The request body is not valid JSON") from None
    if not isinstance(data, dict) or needs not in data:
        raise Refused(400, f"{needs}: Field required")
    return data


def file_part(seen: Seen) -> tuple[str, str, bytes]:
    """Name, type and content of the `file` field of a multipart upload."""
    found = re.search(r'boundary="?([^";]+)', seen.header("content-type") or "")
    if not found:
        raise Refused(400, "Expected a multipart body")
    edge = b"--" + found[1].encode()
    start = seen.body.find(b'name="file"')
    head_start = seen.body.rfind(edge, 0, start)
    content_start = seen.body.find(b"\r\n\r\n", start) + 4
    content_end = seen.body.find(b"\r\n" + edge, content_start)
    if start < 0 or content_end < 0:
        raise Refused(400, "file: Field required")
    head = seen.body[head_start:content_start].decode()
    name = re.search(r'filename="([^"]*)"', head)
    kind = re.search(r"(?i)content-type: *(\S+)", head)
    content = seen.body[content_start:content_end]
    return name[1] if name else "file", kind[1] if kind else "application/octet-stream", content


def page(data: list[dict[str, Any]]) -> dict[str, Any]:
    ids = [item["id"] for item in data] or [None]
    return {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}


def stamp(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).strftime("%Y-%m-%dT%H:%M:%SZ")
