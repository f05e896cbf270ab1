"""What a request's cost was computed from, kept short, so that it can be computed again.

The law: most requests are plain, which is that their row says all: one model, its own, at standard
service. Their basis is None. What else there is is a JSON list of the parts; and UNKNOWN stands for
what nobody can say any more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from airoxy.core.billing.usage import BILLED, Usage

#: The row is from elsewhere, or from before bases were kept: its cost can only be left as it is.
UNKNOWN = ""
#: A batch of very many models and sizes is not worth more (characters).
MOST = 1 << 16

# As `basis_of` writes them.
_FIELDS = ("model", *BILLED, "batch", "geo", "speed", "requests")


def cost_inputs_of(parts: Sequence[Usage], model: str | None) -> str | None:
    """What to keep beside the row that has the sums of `parts` and this `model`."""
    if not parts or (len(parts) == 1 and _is_plain(parts[0], model)):
        return None
    listed = [[getattr(part, name) for name in _FIELDS] for part in parts]
    basis = json.dumps(listed, separators=(",", ":"), ensure_ascii=False)
    return basis if len(basis) <= MOST else UNKNOWN


def parts_of(basis: str) -> list[Usage]:
    """The parts that `basis_of` wrote; of what it did not write, ValueError."""
    try:
        return [Usage(**dict(zip(_FIELDS, part, strict=True))) for part in json.loads(basis)]
    except TypeError as error:
        raise ValueError(f"not a basis: {error}") from error


def _is_plain(part: Usage, model: str | None) -> bool:
    return (
        part.model == model
        and not part.batch
        and part.requests == 1
        and part.geo != "us"
        and part.speed != "fast"
    )
