"""An older installation, and the command that takes it over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.cli import build_parser
from airoxy.cli.command import Context
from tests.cli.terminal import Screen
from tests.conftest import Clock
from tests.legacy_php.old_airoxy import OldAiroxy
from tests.legacy_php.totals import Import


@pytest.fixture
def old(tmp_path: Path) -> OldAiroxy:
    return OldAiroxy(tmp_path / "old")


@pytest.fixture
def take(db: apsw.Connection, old: OldAiroxy, clock: Clock, tmp_path: Path) -> Import:
    """Types `import-php`, at the old installation unless it says where; gives what it printed."""
    config = tmp_path / "airoxy.yaml"

    def take(*words: object, settings: dict[str, Any] | None = None) -> str:
        config.write_text(json.dumps({"database": db.filename, **(settings or {})}))
        given = [str(word) for word in words]
        if not any(os.sep in word for word in given):
            given.append(str(old.directory))
        arguments = build_parser().parse_args(["import-php", *given])
        context = Context(config, environ={}, out=Screen(), clock=clock)
        try:
            assert not arguments.run(context, arguments)
        finally:
            if "database" in vars(context):
                context.database.close()
        return str(context.out.getvalue())  # type: ignore[attr-defined]

    return take
