"""The limits of client keys and of groups: the only place that lists them.

Options of the commands, columns, JSON, tables and refusals are made from LIMITS; a new limit is a
field of Limits, and the migration that adds its column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from airoxy.core.limits import globs
from airoxy.core.limits.measures import (
    DAY,
    MONTH,
    TOTAL,
    WEEK,
    Measure,
    Requests,
    Running,
    Spend,
    Tokens,
)
from airoxy.core.limits.units import COUNT, MODELS, MOMENT, MONEY, NETWORKS, PATHS, SHARING, Unit


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `label` stands before its value in tables, `text` around it where its use is not
    shown, and `unset` is what is shown without it; `measure` is None where nothing is counted.
    `of_groups`: groups can have it as well."""

    name: str
    option: str
    metavar: str
    help: str
    unit: Unit
    measure: Measure | None
    label: str
    text: str
    unset: str
    of_groups: bool

    @property
    def word(self) -> str:
        """Its option as a name, as in the configuration."""
        return self.option[2:].replace("-", "_")

    @property
    def column(self) -> str:
        """Its name in the database and in JSON."""
        return self.name + self.unit.suffix


def _limit(
    unit: Unit,
    help_: str,
    *,
    label: str,
    measure: Measure | None = None,
    option: str = "",
    metavar: str = "N",
    text: str = "{}",
    unset: str = "",
    of_groups: bool = True,
) -> Any:
    told = {
        "unit": unit, "help": help_, "label": label, "measure": measure, "option": option,
        "metavar": metavar, "text": text, "unset": unset, "of_groups": of_groups,
    }  # fmt: skip
    return field(default=unit.unpack(None), metadata=told)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key or a group may use; None and () are no limit. Money is in nano-dollars;
    `expires_at` is the first Unix second at which the key no longer works."""

    spend_per_day: int | None = _limit(
        MONEY, "dollars that may be spent in a day", measure=Spend(DAY), metavar="USD",
        label="today",
    )  # fmt: skip
    spend_per_week: int | None = _limit(
        MONEY, "dollars that may be spent in a week from Monday on", measure=Spend(WEEK),
        metavar="USD", label="this week",
    )  # fmt: skip
    spend_per_month: int | None = _limit(
        MONEY, "dollars that may be spent in a calendar month", measure=Spend(MONTH),
        metavar="USD", label="this month",
    )  # fmt: skip
    spend_total: int | None = _limit(
        MONEY, "dollars that may be spent in total, since the beginning", measure=Spend(TOTAL),
        metavar="USD", label="in total",
    )  # fmt: skip
    requests_per_minute: int | None = _limit(
        COUNT, "requests in any sixty seconds", measure=Requests(), label="requests a minute"
    )
    tokens_per_minute: int | None = _limit(
        COUNT, "input and output tokens in any sixty seconds, but those read from the cache",
        measure=Tokens(), label="tokens a minute",
    )  # fmt: skip
    concurrent_requests: int | None = _limit(
        COUNT, "requests that may run at the same time", measure=Running(), option="--concurrent",
        label="concurrent", text="{} requests at the most",
    )  # fmt: skip
    models: tuple[str, ...] = _limit(
        MODELS, "the only models, such as 'claude-haiku-*,claude-sonnet-5'", metavar="GLOBS",
        label="models", unset="all",
    )  # fmt: skip
    expires_at: int | None = _limit(
        MOMENT,
        "the last day of the key, or the moment: 2026-12-31T18:00; or from now on: 30d",
        option="--expires", metavar="DATE", label="expires", of_groups=False,
    )  # fmt: skip

    paths: tuple[str, ...] = _limit(
        PATHS, "paths to open beside those that can be counted, such as '/v1/agents*'",
        metavar="GLOBS", label="paths",
    )  # fmt: skip

    from_networks: tuple[str, ...] = _limit(
        NETWORKS, "the only networks that requests may come from: 192.0.2.0/24,2001:db8::7",
        option="--from", metavar="NETWORKS", label="from",
    )  # fmt: skip
    share_resources: str = _limit(
        SHARING, "with which other keys files, batches and whatever else it makes are shared: none,"
        " those of its group (the default), or all that share with all", metavar="KEYS",
        label="shares with", of_groups=False,
    )  # fmt: skip

    @classmethod
    def unpacked(cls, limits: Iterable[Limit], values: Iterable[Any]) -> Limits:
        """From the values of these limits in the database."""
        pairs = zip(limits, values, strict=True)
        return cls(**{limit.name: limit.unit.unpack(value) for limit, value in pairs})

    @property
    def spend(self) -> bool:
        """Whether money has to be counted."""
        return self._any(_SPENDING)

    @property
    def metered(self) -> bool:
        """Whether anything has to be counted."""
        return self._any(_MEASURED)

    @property
    def need_counting(self) -> bool:
        """Whether only what is counted may be used: there are limits of money, tokens or models."""
        return bool(self.models) or self._any(_COSTING)

    def allows(self, model: str) -> bool:
        return not self.models or globs.matches(self.models, model)

    def _any(self, names: tuple[str, ...]) -> bool:
        return any(getattr(self, name) is not None for name in names)


LIMITS: tuple[Limit, ...] = tuple(
    Limit(name=each.name, **{
        **each.metadata,
        "option": each.metadata["option"] or f"--{each.name.replace('_', '-')}",
    })
    for each in fields(Limits)
)  # fmt: skip
GROUP_LIMITS = tuple(limit for limit in LIMITS if limit.of_groups)
_MEASURED = tuple(limit.name for limit in LIMITS if limit.measure)
_COSTING = tuple(limit.name for limit in LIMITS if limit.measure and limit.measure.costs)
_SPENDING = tuple(limit.name for limit in LIMITS if isinstance(limit.measure, Spend))
