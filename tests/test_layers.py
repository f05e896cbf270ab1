"""The one rule of imports: a module imports only from its own layer and from layers to its left;
and `core` has nothing to do with the world: no I/O, no clock, no random."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYERS = (
    "__init__", "errors", "calendar", "core", "config", "store", "upstream", "jobs", "server",
    "cli", "legacy_php", "__main__",
)  # fmt: skip
#: What `core` may import from the standard library, none of which does I/O.
PURE = (
    "__future__", "array", "base64", "bisect", "collections", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "itertools", "json", "math",
    "operator", "re", "string", "struct", "types", "typing", "urllib.parse",
)  # fmt: skip
#: What reaches the world without an import, or by a pure one.
WORLDLY = re.compile(r"open|print|input|.*\.(now|utcnow|today)")
AIROXY = Path(__file__).resolve().parent.parent / "airoxy"


def violations(package: Path) -> Iterator[str]:
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package.parent).with_suffix("").parts
        if module[1] not in LAYERS:
            yield f"{'.'.join(module)} is in no layer"
            continue
        for node in ast.walk(ast.parse(path.read_bytes(), path)):
            for name in imported(node, module):
                if not allowed(name, module[1]):
                    yield f"{'.'.join(module)} imports {name}"
            if module[1] == "core" and WORLDLY.fullmatch(called(node)):
                yield f"{'.'.join(module)} calls {called(node)}"


def imported(node: ast.AST, module: tuple[str, ...]) -> list[str]:
    """Full names, relative imports resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        start = module[: -node.level] if node.level else ()
        base = [*start, *filter(None, [node.module])]
        return [".".join([*base, alias.name]) for alias in node.names]
    return []


def allowed(name: str, layer: str) -> bool:
    root, _, rest = f"{name}.".partition(".")
    if root != "airoxy":
        return layer != "core" or any(f"{name}.".startswith(f"{pure}.") for pure in PURE)
    if rest in ("", "__version__."):
        return True
    return rest.split(".")[0] in LAYERS[: LAYERS.index(layer) + 1]


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_every_module_imports_only_from_its_left():
    assert list(violations(AIROXY)) == []


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("__init__", "from . import errors", "imports airoxy.errors"),
        ("errors", "import airoxy.core.keys", "imports airoxy.core.keys"),
        ("core/new", "import os", "imports os"),
        ("core/new", "import urllib.request", "imports urllib.request"),
        ("core/new", "from urllib import request", "imports urllib.request"),
        ("core/new", "import jsonschema", "imports jsonschema"),
        ("core/new", "now = datetime.datetime.now(UTC)", "calls datetime.datetime.now"),
        ("core/new", "text = open('x').read()", "calls open"),
        ("core/new", "from airoxy import config", "imports airoxy.config"),
        ("config/new", "from ..store import tokens", "imports airoxy.store.tokens"),
        ("store/new", "if 0:\n import airoxy.upstream", "imports airoxy.upstream"),
        ("jobs/new", "def f():\n from airoxy.cli import show", "imports airoxy.cli.show"),
        ("server/new", "from airoxy.cli import show as x", "imports airoxy.cli.show"),
        ("cli/new", "import airoxy.utils", "imports airoxy.utils"),
        ("utils", "import os", "is in no layer"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, module, line, found):
    package = shutil.copytree(AIROXY, tmp_path / "airoxy")
    with (package / f"{module}.py").open("a") as file:
        file.write(f"\n{line}\n")
    assert f"airoxy.{module.replace('/', '.')} {found}" in list(violations(package))


@pytest.mark.parametrize(
    ("module", "lines"),
    [
        ("core/new", "from collections.abc import Iterable\nfrom urllib.parse import quote"),
        ("core/new", "from .pool import Token\nfrom airoxy.errors import AiroxyError"),
        ("core/new", "from airoxy import __version__\nnow = later(now).now"),
        ("cli/new", "import airoxy\nimport os, httpx\nfrom airoxy.server import run"),
    ],
)
def test_what_is_allowed_is_not_complained_about(tmp_path, module, lines):
    path = tmp_path / "airoxy" / f"{module}.py"
    path.parent.mkdir(parents=True)
    path.write_text(lines)
    assert list(violations(tmp_path / "airoxy")) == []
