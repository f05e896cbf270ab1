"""In which form an answer tells its usage."""

from __future__ import annotations

import pytest

from airoxy.core.billing.answer_form import form_of


@pytest.mark.parametrize(
    ("path", "status", "content_type", "form"),
    [
        ("/v1/messages", 200, "text/event-stream; charset=utf-8", "sse"),
        ("/v1/messages", 200, "Text/Event-Stream", "sse"),
        ("/v1/messages?beta=true", 200, "application/json", "json"),
        ("/v1/messages/", 200, "application/json; charset=utf-8", "json"),
        ("/v1/messages", 200, "application/vnd.api+json", "json"),
        ("/v1/messages", 200, "text/plain", "none"),
        ("/v1/messages", 200, "", "none"),
        ("/v1/messages/batches/msgbatch_1/results", 200, "application/x-jsonl", "jsonl"),
        ("/v1/messages/batches/msgbatch_1/results", 200, "binary/octet-stream", "jsonl"),
        ("/v1/messages/batches/msgbatch_1/results", 404, "application/json", "json"),
        ("/v1/messages/batches", 200, "application/json", "json"),
        ("/v1/messages/batches/msgbatch_1", 200, "application/json", "json"),
        ("/v1/messages/batches/msgbatch_1/cancel", 200, "application/json", "json"),
        ("/v1/files", 200, "application/json", "json"),
        ("/v1/files/file_1", 200, "application/json", "json"),
        ("/v1/files/file_1/content", 200, "application/json", "none"),
        ("/v1/files/file_1/content", 200, "text/event-stream", "none"),
        ("/v1/files/file_1/content", 404, "application/json", "json"),
        ("/v1/messages/count_tokens", 200, "application/json", "none"),
        ("/v1/messages/count_tokens", 429, "application/json", "json"),
        ("/v1/models", 200, "application/json", "none"),
        ("/v1/anything", 500, "application/problem+json", "json"),
        ("/v1/messages", 502, "text/html", "none"),
        ("/v1/messages", 304, "", "none"),
    ],
)
def test_the_form_of_an_answer(path: str, status: int, content_type: str, form: str) -> None:
    assert form_of(path, status, content_type) == form
