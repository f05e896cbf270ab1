"""Somebody who types on a machine what a page has its readers type."""

from __future__ import annotations

import re
import shlex

from tests.docs.guide import typed
from tests.system.machine import Machine

#: The machines have neither program, and whoever types here is root.
SUDO = '#!/bin/sh\nexec "$@"\n'


class Reader:
    """`names` are what is put in the place of the page's own."""

    def __init__(self, machine: Machine, names: dict[str, str] | None = None) -> None:
        self._machine, self._names = machine, names or {}
        self._unmet = set(self._names)
        machine.put("/usr/local/bin/sudo", SUDO, 0o755)
        machine.put("/etc/apt/apt.conf.d/90yes", 'APT::Get::Assume-Yes "true";\n')

    def follow(self, page: str, heading: str, stdin: dict[str, str] | None = None) -> str:
        """Type every command there, each of which must succeed; gives all that they say. `stdin`
        is what is typed after the commands that have a word in them."""
        answers = stdin or {}
        steps = typed(page, heading)
        assert all(any(word in step for step in steps) for word in answers)
        said = []
        for step in steps:
            given = next((text for word, text in answers.items() if word in step), "")
            said.append(self.type(step, stdin=given))
        return "\n".join(said)

    def type(self, command: str, stdin: str = "") -> str:
        for old, new in self._names.items():
            if old in command:
                self._unmet.discard(old)
                command = command.replace(old, new)
        edit = re.fullmatch(r"sudoedit (\S+) +# (.+)", command)
        if edit:  # the comment is the line that is to be in the file
            setting, file = edit[2].partition(":")[0], edit[1]
            command = f"sed -i '/^{setting}:/d' {file}; echo {shlex.quote(edit[2])} >> {file}"
        return self._machine.run(command, stdin=stdin)

    def has_met_all(self) -> bool:
        """Whether each of the names was there to be replaced."""
        return not self._unmet
