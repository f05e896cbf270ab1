import json

import pytest

from airoxy.core.credentials import Credentials, parse
from airoxy.errors import InvalidInput

PAIR = {"accessToken": "sk-ant-oat-test-one", "refreshToken": "sk-ant-ort-test-one"}


def file(**changes: object) -> str:
    return json.dumps({"claudeAiOauth": {**PAIR, "expiresAt": 1790000000500, **changes}})


def test_the_pair_is_read_with_its_expiry_in_seconds():
    assert parse(file()) == Credentials(*PAIR.values(), expires_at=1790000000)


@pytest.mark.parametrize("odd", [None, "soon", True, -5, 1e300, [1]])
def test_a_missing_or_odd_expiry_counts_as_expired(odd):
    assert parse(file(expiresAt=odd)).expires_at == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"claudeAiOauth": null}',
        '{"claudeAiOauth": {"accessToken": "sk-ant-oat-test-one"}}',
        file(accessToken="sk-ant-api-test-one"),
        file(refreshToken=""),
        file(accessToken="sk-ant-oat-\n"),
        "[" * 100_000,
    ],
)
def test_a_foreign_or_broken_file_is_refused_without_repeating_it(text):
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert "sk-ant" not in refused.value.message
