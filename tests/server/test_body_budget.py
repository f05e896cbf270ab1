"""How many bytes of bodies are collected at once, and who waits for room."""

from __future__ import annotations

from pathlib import Path

import pytest

from airoxy.server.body_budget import BodyBudget, available_memory


def test_a_key_has_a_quarter_and_all_keys_have_the_whole() -> None:
    budget = BodyBudget(100, 1.0)
    assert budget.take(1, 20)
    assert not budget.take(1, 6)
    assert budget.take(1, 5)
    assert all(budget.take(key, 25) for key in (2, 3, 4))
    assert not budget.take(5, 1)
    budget.give_back(2, 25)
    assert budget.take(5, 25)


def test_a_single_body_is_taken_however_large_it_is() -> None:
    budget = BodyBudget(100, 1.0)
    assert budget.take(1, 300)
    assert not budget.take(1, 1)
    assert not budget.take(2, 1)
    budget.give_back(1, 300)
    assert budget.take(2, 300)


def test_what_waits_is_woken_when_something_is_given_back() -> None:
    budget, woken = BodyBudget(100, 1.0), []
    budget.take(1, 100)
    budget.waiting[lambda: woken.append("first")] = None
    budget.waiting[lambda: woken.append("second")] = None
    budget.give_back(1, 100)
    assert woken == ["first", "second"]
    assert budget.used == 0


def test_whoever_waited_in_vain_learns_whose_share_it_was() -> None:
    budget = BodyBudget(100, 1.0)
    for key in (1, 2, 3, 4):
        budget.take(key, 25)
    own, all_of_it = budget.refusal(1, 1), budget.refusal(5, 1)
    assert (own.status, own.kind) == (429, "rate_limit_error")
    assert (all_of_it.status, all_of_it.kind) == (529, "overloaded_error")
    assert dict(own.headers)["retry-after"] == dict(all_of_it.headers)["retry-after"] == "5"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"system.slice/airoxy.service": "1048576"}, 1048576),
        ({"system.slice": "2097152", "system.slice/airoxy.service": "max"}, 2097152),
        ({"system.slice": "1048576", "system.slice/airoxy.service": "2097152"}, 1048576),
    ],
)
def test_the_least_of_the_control_groups_counts(
    tmp_path: Path, limits: dict[str, str], expected: int
) -> None:
    for group, limit in limits.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "memory.max").write_text(limit + "\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/system.slice/airoxy.service\n")
    assert available_memory(tmp_path, membership) == expected


def test_without_control_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path / "none") > 1 << 20
