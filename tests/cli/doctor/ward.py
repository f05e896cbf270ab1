"""The patient of the doctor's tests, healthy to begin with."""

from __future__ import annotations

import hashlib
import io
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from airoxy.cli.command import Context
from airoxy.cli.doctor import checks, examine
from airoxy.cli.doctor.finding import OK, Finding
from airoxy.cli.installation import Installation
from airoxy.store import keys, tokens
from airoxy.store.schema import open_database, run
from tests.databases import open_new
from tests.ports import free_port

#: As long as nobody serves there is this warning.
UNSERVED = {"health"}


class Ward:
    """An airoxy without the package, in a directory of its own: healthy to begin with."""

    def __init__(self, directory: Path, upstream: str) -> None:
        directory.mkdir()
        directory.chmod(0o750)  # whatever the umask
        self.config = directory.parent / "airoxy.yaml"
        self.database = directory / "airoxy.db"
        self.now = time.time()
        self.settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": free_port(),
            "database": str(self.database),
            "upstream": {"url": upstream},
            "oauth": {"endpoint": f"{upstream}/v1/oauth/token"},
        }
        self.configure()
        with closing(open_new(self.database)) as db:
            keys.add_key(db, "client", "ak-test", self.now)
            self.token(db)
        for copy in directory.glob("airoxy.db.before-*"):
            copy.unlink()

    def configure(self, **settings: Any) -> None:
        self.config.write_text(json.dumps(self.settings | settings))

    def token(self, db: apsw.Connection, name: str = "console", **given: Any) -> int:
        plain = {"type": "api_key", "token": f"sk-ant-api-test-{name}", "refresh_token": None,
                 "expires_at": None, "now": self.now}  # fmt: skip
        return tokens.add_token(db, name=name, **(plain | given))

    def sql(self, *statement: Any) -> list[Any]:
        with closing(open_database(self.database)) as db:
            return run(db, *statement)

    def installation(self, root: Path = Path("/nowhere")) -> Installation:
        context = Context(self.config, environ={}, out=io.StringIO(), clock=lambda: self.now)
        return Installation(context, root)

    def examine(
        self, *, fix: bool = False, installation: Installation | None = None
    ) -> list[Finding]:
        return list(examine(installation or self.installation(), checks(), repair=fix))

    def complaints(self, *, fix: bool = False) -> dict[str, Finding]:
        """What is not in order, without what nobody serves for."""
        found = self.examine(fix=fix)
        return {each.check: each for each in found if each.state != OK and each.check != "health"}

    def listing(self) -> dict[str, tuple[int, int, int, str]]:
        """Everything there is, with owner, mode and contents."""
        return {
            str(path): (
                path.stat().st_uid,
                path.stat().st_gid,
                path.stat().st_mode,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            )
            for path in [self.config, *self.database.parent.rglob("*"), self.database.parent]
        }
