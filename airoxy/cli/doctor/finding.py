"""The doctor's checks, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from airoxy.cli.installation import Installation

OK, WARN, FAIL, FIXED = "ok", "warn", "FAIL", "fixed"


@dataclass(frozen=True)
class Finding:
    """One line: `text` says how it is, `remedy` what to do; `fix` does it and says what it did.
    `check` is the check's name, unless a finding has a name of its own."""

    state: str
    text: str
    remedy: str = ""
    fix: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    check: str = ""


@dataclass(frozen=True)
class Check:
    """A row of the table of checks. `look` only looks and changes nothing: what it could repair is
    a function in its finding. `when` says where there is something to look at."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]
    when: Callable[[Installation], bool] = lambda _: True
