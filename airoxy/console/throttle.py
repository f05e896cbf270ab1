"""Logins are slowed down for each user and each address, by the logins that have failed before.

Invariant: during a wait no passphrase is compared, so that guesses are useless.
"""

from __future__ import annotations

from collections import OrderedDict

#: Failures without a wait; each further one doubles it. Behind a proxy that does not name its
#: clients all users have one address.
FREE = {"user": 5, "address": 20}
_LONGEST = 600.0
#: Time without a failure after which earlier ones are forgotten (seconds).
_FORGET = 3600.0
#: Most users and addresses that are remembered; then the oldest are forgotten.
_MOST = 10_000

Name = tuple[str, str]


class LoginThrottle:
    """Counts failures by name, such as ("user", "maria") or ("address", "192.0.2.7")."""

    def __init__(self) -> None:
        self._failures: OrderedDict[Name, tuple[int, float]] = OrderedDict()

    def wait(self, names: tuple[Name, ...], now: float) -> float:
        """Seconds until a login by these may be tried; 0 for now."""
        return max((self._wait(name, now) for name in names), default=0.0)

    def failed(self, names: tuple[Name, ...], now: float) -> None:
        for name in names:
            count, at = self._failures.pop(name, (0, now))
            self._failures[name] = (count + 1 if now - at < _FORGET else 1, now)
            if len(self._failures) > _MOST:
                self._failures.popitem(last=False)

    def succeeded(self, names: tuple[Name, ...]) -> None:
        for name in names:
            self._failures.pop(name, None)

    def _wait(self, name: Name, now: float) -> float:
        count, at = self._failures.get(name, (0, 0.0))
        free = FREE[name[0]]
        if count < free:
            return 0.0
        return max(0.0, at + min(_LONGEST, 2.0 ** (count - free)) - now)
