from urllib.parse import unquote

import pytest

from airoxy.core.request.paths import (
    CREATING,
    STREAM_ABOVE,
    is_api,
    is_upload,
    limit_for,
    named_in_path,
    takes_system,
)

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/messages/batches/msgbatch_01Ab-c_d", "msgbatch_01Ab-c_d"),
        ("/v1/messages/batches/msgbatch_01/results", "msgbatch_01"),
        ("/v1/messages/batches/msgbatch_01/cancel", "msgbatch_01"),
        ("/v1/messages/batches/msgbatch_01/", "msgbatch_01"),
        ("/v1/files/file_01", "file_01"),
        ("/v1/files/file_01/content", "file_01"),
        ("/v1/files/msgbatch_01", None),
        ("/v1/messages/batches/file_01", None),
        ("/v1/messages/batches", None),
        ("/v1/files/", None),
        ("/v1/files/file_", None),
        ("/v1/files/file_01%2F", None),
        ("/v1/files/file_01\n", None),
        ("/v1/files/file_é", None),
        ("/v2/v1/files/file_01", None),
        ("/v1/messages", None),
    ],
)
def test_a_path_names_a_batch_or_a_file_or_neither(path, named):
    assert named_in_path(path) == named


@pytest.mark.parametrize(
    ("path", "limit", "upload"),
    [
        ("/v1/messages", 32 * MIB, False),
        ("/v1/messages/count_tokens", 32 * MIB, False),
        ("/v1/messages/batches", 256 * MIB, True),
        ("/v1/messages/batches/", 256 * MIB, True),
        ("/v1/messages/batches/msgbatch_01/cancel", 256 * MIB, True),
        ("/v1/messages/batchesque", 32 * MIB, False),
        ("/v1/files", 500 * MIB, True),
        ("/v1/files/file_01", 500 * MIB, True),
        ("/v1/filesystem", 32 * MIB, False),
        ("/v1/anything/new", 32 * MIB, False),
    ],
)
def test_limits_are_anthropics_and_uploads_are_streamed_through(path, limit, upload):
    assert limit_for(path) == limit
    assert is_upload(path) == upload


def test_only_bodies_of_a_few_mb_are_collected_at_an_upload():
    assert STREAM_ABOVE == 4 * MIB


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("POST", "/v1/messages", True),
        ("POST", "/v1/messages/", True),
        ("GET", "/v1/messages", False),
        ("POST", "/v1/messages/count_tokens", True),
        ("POST", "/v1/messages/batches", False),
        ("POST", "/v1/complete", False),
    ],
)
def test_a_messages_request_takes_the_system_line_to_answer_or_to_count(method, path, takes):
    assert takes_system(method, path) == takes


def test_batches_and_files_are_created_by_posting_to_their_collections():
    assert {"/v1/messages/batches", "/v1/files"} == CREATING


@pytest.mark.parametrize(
    ("raw", "within"),
    [
        (b"/v1/messages", True),
        (b"/v1/", True),
        (b"/v1//models/../x/./y;z=1/", True),
        (b"/v1/models/a%2Fb%20c%c3%a9", True),
        (b"/v1/...", True),
        (b"/v1", False),
        (b"/health", False),
        (b"/v1/..", False),
        (b"/v1/x/../..", False),
        (b"/v1//../x", False),
        (b"/v1/%2e%2E/x", False),
        (b"/v1/%252e%252e/x", False),
        (b"/v1/..%5cx", False),
        (b"/v1/a%2fb%2fc/../..", False),
        (b"/v1/a%252fb/../..", False),
        (b"/v1%2fmessages", False),
    ],
)
def test_the_api_is_what_stays_under_v1(raw, within):
    assert is_api(raw, unquote(raw.decode())) is within
