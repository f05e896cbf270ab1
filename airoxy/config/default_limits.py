"""The limits that new client keys are given: a mapping of the options of `airoxy api-key add`.

They are kept as they were written, because some are counted from the moment when a key is made.
`airoxy.core.limits` is imported only where there are some.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from airoxy.config.kinds import shown
from airoxy.errors import InvalidInput

_SCALARS = ("str", "int", "float", "timestamp")
#: Any moment: whether an end is past is seen when a key is made.
_WHENEVER = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """Limits by name; the value is the text of each, as its option takes it."""

    wanted: str = (
        "limits like {spend_per_month: 50, models: [claude-haiku-*]}, by the names of the options"
        " of `airoxy api-key add`, or {}"
    )

    def read(self, node: yaml.Node) -> Mapping[str, str]:
        if node.tag.endswith(":null"):
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ValueError("is not a mapping")
        found: dict[str, str] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                raise ValueError(f"has {name} twice in it")
            found[name] = _limit(name, value)
        return found


def _limit(name: str, node: yaml.Node) -> str:
    """What was written, if it is a limit of this name."""
    from airoxy.core.limits.table import LIMITS

    known = {limit.word: limit for limit in LIMITS}
    limit = known.get(name)
    if limit is None:
        raise ValueError(f"has {name} in it, which is none of {', '.join(known)}")
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for part in parts:
        if not isinstance(part, yaml.ScalarNode) or part.tag.rpartition(":")[2] not in _SCALARS:
            raise ValueError(f"has {shown(part)} as {name}, which is no limit")
    text = ",".join(part.value for part in parts)
    try:
        limit.unit.read(text, _WHENEVER)
    except InvalidInput as error:
        raise ValueError(f"has a wrong {name} in it: {error.message}") from None
    return text
