"""The usage fields: what is counted of a request, where an answer has it, what it is priced by,
and what it is called in tables and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, NamedTuple

#: Prompts of merged batch results lie in the same step of this many tokens; price tiers are
#: multiples of it.
PROMPT_STEP = 1000


class UsageField(NamedTuple):
    """One thing that is counted; rows, sums, SQL, prices, metrics and tables are made from it."""

    #: In `Usage`, in the database and in JSON.
    name: str
    #: Where the `usage` of an answer has it, with a dot for what lies one level deeper.
    found_as: str
    #: The price that holds for it (`airoxy.core.billing.pricing`); None where it is free, or
    #: contained in another field.
    price: str | None
    label: str
    #: In tables, where fields with the same heading are added up; None where there is no room.
    heading: str | None
    #: Tokens are `airoxy_usage_tokens` by this kind, everything else is a metric of this name.
    metric: str
    is_token: bool = True
    #: Whether it is a part of the prompt, whose size chooses a price tier.
    in_prompt: bool = False
    #: Whether a limit of tokens per minute counts it.
    per_minute: bool = False


def _counted(found_as: str, price: str | None, label: str, **more: Any) -> int:
    """A count of `Usage`, and its line in USAGE."""
    line = {"found_as": found_as, "price": price, "label": label, "heading": None, **more}
    return field(default=0, metadata={"usage": line})


@dataclass(slots=True)
class Usage:
    """What is billed at one model's price; of `requests` many, whose prompts are of like size."""

    model: str | None = None
    input_tokens: int = _counted(
        "input_tokens", "input", "Input tokens",
        heading="IN", metric="input", in_prompt=True, per_minute=True,
    )  # fmt: skip
    output_tokens: int = _counted(
        "output_tokens", "output", "Output tokens",
        heading="OUT", metric="output", per_minute=True,
    )  # fmt: skip
    cache_write_5m_tokens: int = _counted(
        "cache_creation.ephemeral_5m_input_tokens", "write_5m", "Cache written (5 min)",
        heading="WRITE", metric="cache_write_5m", in_prompt=True, per_minute=True,
    )  # fmt: skip
    cache_write_1h_tokens: int = _counted(
        "cache_creation.ephemeral_1h_input_tokens", "write_1h", "Cache written (1 hour)",
        heading="WRITE", metric="cache_write_1h", in_prompt=True, per_minute=True,
    )  # fmt: skip
    cache_read_tokens: int = _counted(
        "cache_read_input_tokens", "read", "Cache read",
        heading="READ", metric="cache_read", in_prompt=True,
    )  # fmt: skip
    web_search_requests: int = _counted(
        "server_tool_use.web_search_requests", "web_search", "Web searches",
        metric="web_searches", is_token=False,
    )  # fmt: skip
    batch: bool = False
    geo: str | None = None
    speed: str | None = None
    requests: int = 1
    #: False for what Anthropic does not charge, such as a refusal without output.
    billed: bool = True

    @property
    def prompt_tokens(self) -> int:
        """Everything that went in: what a price tier is chosen by."""
        return sum(_prompt_of(self))

    @property
    def tokens_per_minute(self) -> int:
        """What a limit of tokens per minute counts."""
        return sum(_per_minute_of(self))

    def explain_writes(self, writes: int) -> None:
        """All `writes` to the cache are known, too. Five minutes is what a write is without further
        word, so what the split leaves unexplained is that; a split that says more than the sum is
        believed."""
        split = self.cache_write_5m_tokens + self.cache_write_1h_tokens
        self.cache_write_5m_tokens += max(0, writes - split)

    def add(self, other: Usage) -> None:
        """Add the counts of `other`; model, batch, geo and speed stay."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.requests += other.requests


#: Every field, in the order of `Usage`.
USAGE = tuple(
    UsageField(each.name, **each.metadata["usage"])
    for each in fields(Usage)
    if "usage" in each.metadata
)
#: Their names.
COUNTED = tuple(each.name for each in USAGE)
#: The names of those that are tokens.
TOKENS = tuple(each.name for each in USAGE if each.is_token)
#: The names of those that a limit of tokens per minute counts.
PER_MINUTE = tuple(each.name for each in USAGE if each.per_minute)
#: The names of those that are in the prompt.
PROMPT = tuple(each.name for each in USAGE if each.in_prompt)
#: The prices of tokens.
TOKEN_PRICES = tuple(each.price for each in USAGE if each.price and each.is_token)
#: The headings of tables, each with the names of what is added up under it.
HEADINGS = {
    heading: tuple(each.name for each in USAGE if each.heading == heading)
    for heading in dict.fromkeys(each.heading for each in USAGE)
    if heading
}

#: The counts of a `Usage`, in the order of COUNTED.
counts_of = attrgetter(*COUNTED)
_prompt_of, _per_minute_of = attrgetter(*PROMPT), attrgetter(*PER_MINUTE)


def total(parts: Iterable[Usage]) -> Usage:
    """The counts of all parts together: what a row of the usage log shows."""
    result = Usage(requests=0)
    for part in parts:
        result.add(part)
    return result
