"""Names and notes as they are typed and shown."""

from __future__ import annotations

import pytest

from airoxy.core.names import printable, read_name, read_note, without_secrets
from airoxy.errors import InvalidInput

SECRETS = ("ak-" + "Abc0" * 10, "sk-ant-api03-" + "test-" * 5, "sk-ant-oat-" + "test-" * 3)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_no_name_and_stands_in_no_note(secret: str) -> None:
    for read, text in ((read_name, secret), (read_note, f"was {secret}, once")):
        with pytest.raises(InvalidInput, match="secret"):
            read(text)


@pytest.mark.parametrize(
    "name", ["ak-47", "sk-ant-api03-R2D…igAA", "Bomsk-antenne", "👩\u200d💻", "می\u200cخواهم"]
)
def test_what_only_begins_like_a_secret_is_a_name(name: str) -> None:
    assert read_name(name) == read_note(name) == without_secrets(name) == printable(name) == name


@pytest.mark.parametrize("secret", SECRETS)
def test_of_a_secret_only_its_beginning_is_shown(secret: str) -> None:
    shown = without_secrets(f"no key {secret}; 'list' shows them")
    assert shown in ("no key ak-…; 'list' shows them", "no key sk-ant-…; 'list' shows them")


@pytest.mark.parametrize("name", ["", " ", "\u200d", "a\nb", "\u202eab", "a" * 65])
def test_what_nobody_would_see_or_hold_is_no_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="a name is 1 to 64 printable characters"):
        read_name(name)


def test_nothing_speaks_to_the_terminal() -> None:
    assert printable("a\x1b[31m\nb\u202e\udcff") == "a?[31m?b??"
