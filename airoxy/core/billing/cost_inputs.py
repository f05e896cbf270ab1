"""What a request's cost was computed from, kept short, so that it can be computed again.

Most requests are plain: their row says all, which is one model, its own, at standard service. They
keep None. Everything else is JSON with the parts of the usage and the names of what they hold, so
that a field added later changes nothing about what was kept before. UNKNOWN stands for what nobody
can say any more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields

from airoxy.core.billing.usage import Usage

#: The row is from elsewhere, or older than cost inputs: its cost can only be left as it is.
UNKNOWN = ""
#: A batch of very many models and sizes is not worth more (characters).
MOST = 1 << 16

_DEFAULTS = {each.name: each.default for each in fields(Usage)}
#: What 1.0 wrote was lists of these, without their names.
_FIELDS_OF_1_0 = (
    "model",
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "web_search_requests",
    "batch",
    "geo",
    "speed",
    "requests",
)  # fmt: skip


def cost_inputs_of(parts: Sequence[Usage], model: str | None) -> str | None:
    """What to keep beside the row that has the sums of `parts` and this `model`."""
    if not parts or (len(parts) == 1 and _is_plain(parts[0], model)):
        return None
    names = [
        name
        for name, default in _DEFAULTS.items()
        if any(getattr(part, name) != default for part in parts)
    ]
    values = [[getattr(part, name) for name in names] for part in parts]
    document = {"fields": names, "parts": values}
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text if len(text) <= MOST else UNKNOWN


def parts_of(cost_inputs: str) -> list[Usage]:
    """The parts that `cost_inputs_of` kept, in this or in an earlier version. Raises ValueError."""
    document = json.loads(cost_inputs)
    try:
        names, parts = _FIELDS_OF_1_0, document
        if isinstance(document, dict):
            names, parts = document["fields"], document["parts"]
        return [Usage(**dict(zip(names, part, strict=True))) for part in parts]
    except (TypeError, KeyError) as error:
        raise ValueError(f"these are no cost inputs: {error}") from error


def _is_plain(part: Usage, model: str | None) -> bool:
    return (
        part.model == model
        and part.billed
        and not part.batch
        and part.requests == 1
        and part.geo != "us"
        and part.speed != "fast"
    )
