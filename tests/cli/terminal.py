"""A command as it is typed, in this process and by the tests' clock."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from airoxy.cli import build_parser
from airoxy.cli.command import Context
from tests.conftest import Clock


class Screen(io.StringIO):
    """What is written to it; `terminal` says whether a person looks at it."""

    encoding = "utf-8"  # type: ignore[assignment]

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Typed:
    """Types commands at an airoxy that has its database at `database`."""

    def __init__(self, database: Path, clock: Clock, **settings: Any) -> None:
        self.config = database.with_name("airoxy.yaml")
        self.config.write_text(json.dumps({"database": str(database), **settings}))
        self._clock = clock

    def __call__(self, *words: str, screen: Screen | None = None, **environ: str) -> str:
        """What the command printed."""
        arguments = build_parser().parse_args(words)
        out = screen or Screen()
        context = Context(self.config, environ=environ, out=out, clock=self._clock)
        try:
            assert not arguments.run(context, arguments)
        finally:
            context.database.close()
        return out.getvalue()

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))
