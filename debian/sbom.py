"""The bill of materials of a package, as CycloneDX JSON: `python3 debian/sbom.py DEB`.

The components are the packages that it depends on. Which versions of them are installed is the
distribution's affair; what airoxy asks for stands in their properties.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

_DEPENDENCY = re.compile(r"\s*([a-z0-9][a-z0-9+.-]+)(?::any)?\s*(?:\(([^)]+)\))?")


def field(deb: Path, name: str) -> str:
    command = ["dpkg-deb", "--field", str(deb), name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def purl(name: str, version: str = "") -> str:
    return f"pkg:deb/debian/{name}" + (f"@{version}" if version else "")


def components(deb: Path) -> list[dict[str, Any]]:
    """What it depends on, each name once."""
    wanted: dict[str, list[str]] = {}
    relations = ",".join(field(deb, name) for name in ("Pre-Depends", "Depends"))
    for relation in re.split(r"[,|]", relations):
        if found := _DEPENDENCY.match(relation):
            wanted.setdefault(found[1], []).extend(filter(None, [found[2]]))
    return [
        {
            "type": "library",
            "bom-ref": purl(name),
            "name": name,
            "purl": purl(name),
            "properties": [{"name": "airoxy:version", "value": each} for each in versions],
        }
        for name, versions in sorted(wanted.items())
    ]


def sbom(deb: Path) -> dict[str, Any]:
    """The same for the same package."""
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    name, version = field(deb, "Package"), field(deb, "Version")
    parts, own = components(deb), purl(name, version)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": name,
                "version": version,
                "purl": own,
                "description": field(deb, "Description").partition("\n")[0],
                "licenses": [{"license": {"id": "MIT"}}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": parts,
        "dependencies": [{"ref": own, "dependsOn": [part["bom-ref"] for part in parts]}],
    }


if __name__ == "__main__":
    print(json.dumps(sbom(Path(sys.argv[1])), indent=2))
