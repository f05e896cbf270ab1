"""How long guesses wait."""

from __future__ import annotations

from airoxy.console.throttle import LoginThrottle

MARIA = (("user", "maria"),)


def fail(throttle: LoginThrottle, times: int, names: tuple[tuple[str, str], ...] = MARIA) -> None:
    for _ in range(times):
        throttle.failed(names, 0)


def test_five_failures_cost_nothing_and_each_more_doubles_the_wait():
    throttle = LoginThrottle()
    waits = []
    for _ in range(8):
        fail(throttle, 1)
        waits.append(throttle.wait(MARIA, 0))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8]


def test_the_wait_ends_grows_to_ten_minutes_and_is_forgotten_after_an_hour():
    throttle = LoginThrottle()
    fail(throttle, 30)
    assert throttle.wait(MARIA, 0) == 600
    assert throttle.wait(MARIA, 599) == 1
    assert throttle.wait(MARIA, 600) == 0
    throttle.failed(MARIA, 3600)
    assert throttle.wait(MARIA, 3600) == 0


def test_a_login_forgets_and_one_address_waits_for_what_it_tried_with_any_user():
    throttle = LoginThrottle()
    for number in range(21):
        fail(throttle, 1, (("user", str(number)), ("address", "192.0.2.7")))
    assert throttle.wait((("user", "new"), ("address", "192.0.2.7")), 0) == 2
    assert throttle.wait((("user", "1"), ("address", "192.0.2.8")), 0) == 0
    throttle.succeeded((("address", "192.0.2.7"),))
    assert throttle.wait((("user", "new"), ("address", "192.0.2.7")), 0) == 0


def test_strange_names_take_no_memory_without_bound():
    throttle = LoginThrottle()
    for number in range(10_100):
        throttle.failed((("user", str(number)),), 0)
    assert len(throttle._failures) == 10_000
