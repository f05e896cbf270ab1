"""Programs of Anthropic's, unmodified, each in a home of its own: what they need to run."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.program import ROOT

NODE = ROOT / ".venv/node/node_modules"
CLAUDE = NODE / ".bin/claude"
PYTHON = ROOT / ".venv/newest/bin/python"
_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
#: What a program sends to its terminal when it begins to take keys: whole texts are to be marked as
#: pasted. Until then the terminal would keep a line for it, and end that with another key.
_TAKES_KEYS = b"\x1b[?2004h"


class Home:
    """A user's home directory, made anew, that knows one address of the API and one credential."""

    def __init__(self, directory: Path, url: str, credential: dict[str, str]) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "TERM": "xterm",
            "CLAUDE_CONFIG_DIR": str(directory / ".claude"), "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_MODEL": "claude-opus-5-5",
        } | _QUIET | credential  # fmt: skip
        (directory / ".claude").mkdir(parents=True)
        # What Claude Code asks at its first start has been answered.
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        settings = {
            "hasCompletedOnboarding": True, "theme": "dark", "projects": {str(directory): trusted},
        }  # fmt: skip
        (directory / ".claude" / ".claude.json").write_text(json.dumps(settings))
        (directory / "node_modules").symlink_to(NODE)

    def run(self, *command: str | Path, program: str = "") -> str:
        """What a command prints; `program` is the text of the file that it names last."""
        if program:
            (self.directory / command[-1]).write_text(program)
        done = subprocess.run(
            command, cwd=self.directory, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def type(
        self,
        *command: str | Path,
        typed: list[str],
        until: Callable[[], object],
        may_type: Callable[[], object] = lambda: True,
    ) -> None:
        """Run a command on a terminal, type this into it while `may_type` holds, and leave when
        `until` does."""
        here, there = pty.openpty()
        process = subprocess.Popen(
            command, cwd=self.directory, env=self.environ, stdin=there, stdout=there,
            stderr=there, start_new_session=True,
        )  # fmt: skip
        os.close(there)
        seen, drawn, left = b"", False, [*typed]
        try:
            while not until():
                # The next keys are for when it has drawn the last ones, and fallen silent.
                if select.select([here], [], [], 1.0)[0]:
                    seen += os.read(here, 65536)
                    drawn = _TAKES_KEYS in seen
                elif left and drawn and may_type():
                    os.write(here, left.pop(0).encode())
                    drawn = False
                assert process.poll() is None, seen
                assert len(seen) < 10_000_000, seen[-2000:]
        finally:
            process.kill()
            process.wait()
            os.close(here)
