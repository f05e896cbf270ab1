import itertools
import secrets

import pytest

from airoxy.core.keys import check_refresh_token, digest, mask, new_key, token_type
from airoxy.errors import InvalidInput


def test_a_key_is_ak_and_40_letters_and_digits():
    key = new_key(secrets.choice)
    assert key.startswith("ak-")
    assert len(key) == 43
    assert key[3:].isalnum()
    assert key.isascii()


def test_a_key_is_what_the_source_of_randomness_says():
    source = itertools.cycle("aZ9")
    assert new_key(lambda alphabet: next(source)) == "ak-" + ("aZ9" * 14)[:40]


def test_text_and_bytes_have_the_same_digest():
    assert digest("ak-one") == digest(b"ak-one")
    assert len(digest("ak-one")) == 32


@pytest.mark.parametrize(
    ("secret", "masked"),
    [
        ("sk-ant-api03-abcdefghijkl", "sk-ant-a…ijkl"),
        ("sk-ant-api03-" + "aBc" * 30 + "-_AA", "sk-ant-api03-aBc…-_AA"),
        ("sk-ant-oat01-" + "x_-" * 30 + "-yAA", "sk-ant-oat01-x_-…-yAA"),
        ("ak-" + "x1Y2z" * 8, "ak-x1Y2z…1Y2z"),
        ("short", "…"),
        ("sk-ant-too-shor", "…"),
        ("", "…"),
    ],
)
def test_a_mask_shows_little_and_of_a_short_secret_nothing(secret, masked):
    assert mask(secret) == masked


@pytest.mark.parametrize("kind", ["sk-ant-api03-", "sk-ant-oat01-", "ak-"])
def test_masks_tell_secrets_apart_that_begin_and_end_alike(kind):
    ends = "" if kind == "ak-" else "AA"
    drawn = [kind + new_key(secrets.choice)[3:] * (2 if ends else 1) + ends for _ in range(200)]
    assert len({mask(secret) for secret in drawn}) == 200
    assert all(len(mask(secret)) <= len(kind) + 10 for secret in drawn)


def test_the_type_is_told_by_the_prefix():
    assert token_type("sk-ant-api03-test") == "api_key"
    assert token_type("sk-ant-oat01-test") == "oauth"


@pytest.mark.parametrize("kind", ["sk-ant-oat01-", "sk-ant-api03-", "sk-ant-ort01-"])
@pytest.mark.parametrize("rest", ["", "a b", "é", "“test”", "a\nb", "\udcff"])
def test_what_cannot_go_upstream_is_no_token_of_any_kind(kind, rest):
    read = check_refresh_token if "ort" in kind else token_type
    with pytest.raises(InvalidInput, match="copy it once more"):
        read(kind + rest)
    read(f"{kind}test")


@pytest.mark.parametrize("secret", ["", "sk-test", "ak-test", "sk-ant-ort01-test", "sk-ant-a\nb"])
def test_what_is_no_access_token_is_refused_without_repeating_it(secret):
    with pytest.raises(InvalidInput) as refused:
        token_type(secret)
    assert not secret or secret not in refused.value.message
