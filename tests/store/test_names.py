"""Keys and tokens found by id or name."""

from __future__ import annotations

import apsw
import pytest

from airoxy.errors import NotFound
from airoxy.store import keys
from airoxy.store.names import find_id


def add(db: apsw.Connection, name: str) -> int:
    return keys.add_key(db, name, f"ak-{name}", 0)


def test_a_row_is_found_by_its_id_and_by_its_name(db: apsw.Connection) -> None:
    laptop, desk = add(db, "laptop"), add(db, "desk 日本")
    assert find_id(db, "api_keys", "laptop") == find_id(db, "api_keys", str(laptop)) == laptop
    assert find_id(db, "api_keys", "desk 日本") == desk


def test_digits_are_an_id_first_and_then_a_name(db: apsw.Connection) -> None:
    two, other = add(db, "2"), add(db, "other")
    assert (two, other) == (1, 2)
    assert find_id(db, "api_keys", "2") == other
    seven = add(db, "7")
    assert find_id(db, "api_keys", "7") == seven


def test_what_is_removed_is_found_only_where_history_is_asked_for(db: apsw.Connection) -> None:
    first = add(db, "laptop")
    keys.remove_key(db, first, 1)
    with pytest.raises(NotFound):
        find_id(db, "api_keys", "laptop")
    assert find_id(db, "api_keys", "laptop", removed=True) == first
    second = keys.add_key(db, "laptop", "ak-second", 2)
    assert find_id(db, "api_keys", "laptop", removed=True) == second
    assert find_id(db, "api_keys", str(first), removed=True) == first


@pytest.mark.parametrize("text", ["9", "９", "-1", "1.0", "", "9" * 40, "nobody", "*", "lap%"])
def test_what_is_not_there_is_not_found(db: apsw.Connection, text: str) -> None:
    add(db, "laptop")
    with pytest.raises(NotFound, match="There is no key"):
        find_id(db, "api_keys", text)


def test_a_name_that_is_nearly_right_is_told(db: apsw.Connection) -> None:
    add(db, "laptop")
    with pytest.raises(NotFound, match=r"no key latpop; did you mean laptop\?"):
        find_id(db, "api_keys", "latpop")
    with pytest.raises(NotFound, match="no token 7; `airoxy token list` shows them"):
        find_id(db, "tokens", "7")
