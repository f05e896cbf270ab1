"""Compare the drop-ins that systemd works with to those that airoxy.yaml would give now.

The generator itself is run, so that there is one idea of what the configuration means for units.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

GENERATOR = Path("/usr/lib/systemd/system-generators/airoxy-generator")
#: Where systemd lets generators write.
GENERATED = Path("/run/systemd/generator")


def stale_units() -> set[str]:
    """The units for which systemd has read other settings than there are now. Raises OSError and
    CalledProcessError where the generator cannot be asked."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            [GENERATOR, directory, directory, directory],
            check=True,
            capture_output=True,
            timeout=60,
        )
        wanted, present = _drop_ins(Path(directory)), _drop_ins(GENERATED)
    differ = {name for name in wanted.keys() | present if wanted.get(name) != present.get(name)}
    return {name.partition(".d/")[0] for name in differ}


def _drop_ins(directory: Path) -> dict[str, list[str]]:
    """The generator's files by name, without their comments, which name lines that may move."""
    return {
        str(file.relative_to(directory)): [
            line for line in file.read_text().splitlines() if not line.startswith("#")
        ]
        for file in directory.glob("airoxy*.d/*-airoxy-yaml.conf")
    }
