import pytest

from airoxy.core.request.paths import (
    STREAM_ABOVE,
    Cost,
    cost_of,
    creates,
    ids_in_path,
    ids_in_query,
    is_api,
    is_upload,
    limit_for,
    takes_system,
)

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/v1/messages/batches/msgbatch_01Ab-c_d", ("msgbatch_01Ab-c_d",)),
        ("/v1/messages/batches/msgbatch_01/results", ("msgbatch_01",)),
        ("/v1/messages/batches/msgbatch_01/cancel", ("msgbatch_01",)),
        ("/v1/messages/batches/msgbatch_01/", ("msgbatch_01",)),
        ("/v1/files/file_01", ("file_01",)),
        ("/v1/files/file_01/content", ("file_01",)),
        ("/v1/skills/skill_01/versions/2", ("skill_01",)),
        ("/v1/sessions/sesn_01/resources/res_02", ("sesn_01", "res_02")),
        ("/v1/memory_stores/memstore_01/memories/mem_02", ("memstore_01", "mem_02")),
        ("/v1/memory_stores", ()),
        ("/v1/messages/count_tokens", ()),
        ("/v1/models/some_model", ()),
        ("/v1/messages/batches", ()),
        ("/v1/files/", ()),
        ("/v1/files/file_", ()),
        ("/v1/files/file_é", ()),
        ("/v1/messages", ()),
        ("/v1/", ()),
    ],
)
def test_a_path_names_what_it_is_about(path, ids):
    assert ids_in_path(path) == ids


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


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("POST", "/v1/messages/batches", True),
        ("POST", "/v1/files/", True),
        ("POST", "/v1/skills", True),
        ("POST", "/v1/sessions/sesn_01/resources", True),
        ("GET", "/v1/files", False),
        ("POST", "/v1/messages", False),
        ("POST", "/v1/messages/count_tokens", False),
        ("POST", "/v1/chat/completions", False),
    ],
)
def test_things_are_made_by_posting_to_a_collection(method, path, may):
    assert creates(method, path) is may


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1/messages",
        b"/v1/messages/",
        b"/v1/Messages",
        b"/v1/",
        b"/v1/...",
        b"/v1/x/.hidden/a..b",
        b"/v1/models/claude-opus-5-5[1m]",
        b"/v1/models/claude-opus-5-5%5B1m%5d",
        b"/v1/models/a@b:c=1,d+(e)!$&'*~_-.",
        b"/v1/models/%22%24%2A%2c%3a%3C%3d%3E%40%5E%60%7B%7c%7d",
    ],
)
def test_the_api_is_what_is_under_v1_in_normal_form(raw):
    assert is_api(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1",
        b"/V1/messages",
        b"/v2/messages",
        b"/health",
        b"//v1/messages",
        b"/v1//messages",
        b"/v1/messages//",
        b"/v1//",
        b"/v1//messages/batches",
        b"/v1/./messages",
        b"/v1/messages/.",
        b"/v1/messages/./",
        b"/v1/x/../messages",
        b"/v1/messages/..",
        b"/v1/..",
        b"/v1/..;/messages",
        b"/v1/.;/messages",
        b"/v1/messages;a=b",
        b"/v1/messages%20",
        b"/v1/messages%00",
        b"/v1/messages%0a",
        b"/v1/messages%7f",
        b"/v1/%6dessages",
        b"/v1/%6Dessages",
        b"/v1/message%73",
        b"/v1/message%5f",
        b"/v1/messages%2fbatches",
        b"/v1/messages%2Fbatches",
        b"/v1/messages%5cbatches",
        b"/v1/messages\\batches",
        b"/v1/..\\x",
        b"/v1/%2e/messages",
        b"/v1/%2e%2E/x",
        b"/v1/%252e%252e/x",
        b"/v1/%25252e/x",
        b"/v1/%u002e/x",
        b"/v1/%c0%ae/x",
        b"/v1/%e2%80%a4/x",
        b"/v1/messages%3fbeta",
        b"/v1/messages%3b",
        b"/v1/messages%23",
        b"/v1/messages#",
        b"/v1/messages%",
        b"/v1/messages%2",
        b"/v1/messages%zz",
        b"/v1/mess ages",
        b"/v1/mess\tages",
        b"/v1/mess\xc3\xa9",
        b"/v1/messages\n",
        b"/v1/{messages}",
    ],
)
def test_what_another_reader_could_take_for_another_path_is_no_part_of_the_api(raw):
    assert not is_api(raw)


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("POST", "/v1/messages", Cost.COUNTED),
        ("POST", "/v1/messages/", Cost.COUNTED),
        ("POST", "/v1/chat/completions", Cost.COUNTED),
        ("POST", "/v1/messages/batches", Cost.COUNTED),
        ("POST", "/v1/messages/count_tokens", Cost.FREE),
        ("POST", "/v1/messages/batches/msgbatch_01/cancel", Cost.FREE),
        ("DELETE", "/v1/messages/batches/msgbatch_01", Cost.FREE),
        ("POST", "/v1/files", Cost.FREE),
        ("DELETE", "/v1/files/file_01", Cost.FREE),
        ("GET", "/v1/models", Cost.FREE),
        ("HEAD", "/v1/models/claude-opus-5-5", Cost.FREE),
        ("GET", "/v1/sessions/sesn_01", Cost.FREE),
        ("POST", "/v1/Messages", Cost.UNKNOWN),
        ("POST", "/v1/messages/x", Cost.UNKNOWN),
        ("POST", "/v1/messages/batches/msgbatch_01/results", Cost.UNKNOWN),
        ("PUT", "/v1/messages", Cost.UNKNOWN),
        ("POST", "/v1/complete", Cost.UNKNOWN),
        ("POST", "/v1/sessions", Cost.UNKNOWN),
        ("POST", "/v1/sessions/sesn_01/events", Cost.UNKNOWN),
        ("POST", "/v1/agents", Cost.UNKNOWN),
        ("POST", "/v1/dreams", Cost.UNKNOWN),
        ("POST", "/v1/files/file_01", Cost.UNKNOWN),
        ("PATCH", "/v1/files/file_01", Cost.UNKNOWN),
        ("GET", "/v1/organizations/usage_report/messages", Cost.ADMINISTRATION),
        ("GET", "/v1/organizations", Cost.ADMINISTRATION),
        ("POST", "/v1/Organizations/invites", Cost.ADMINISTRATION),
        ("GET", "/v1/organizationsx", Cost.FREE),
    ],
)
def test_what_a_request_costs_is_known_by_a_list(method, path, cost):
    assert cost_of(method, path) is cost


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (b"", ()),
        (b"limit=5&beta=true", ()),
        (b"after_id=file_01", ("file_01",)),
        (b"after%5Fid=file%5F01&scope_id=sesn_02&x", ("file_01", "sesn_02")),
        (b"page=page_1%0a&name=a_b%20c", ()),
        (b"%ff_%c3", ()),
    ],
)
def test_a_query_names_where_a_list_begins_and_what_it_is_of(query, ids):
    assert ids_in_query(query) == ids
