"""The structure of airoxy/, held by its own imports: layers, rooms, circles, crowds, names.

An import counts wherever it stands, inside a function or under TYPE_CHECKING, too.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path

import pytest

#: A module imports only from its own layer and from layers to its left.
LAYERS = (
    "__init__", "errors", "calendar", "files", "journal", "core", "config", "store", "views",
    "upstream", "jobs", "server", "console", "fleet", "cli", "legacy_php", "__main__",
)  # fmt: skip
#: The same inside server/.
ROOMS = (
    "__init__", "shared_memory", "pauses", "turns", "unwritten", "body_budget", "collected",
    "admission", "http", "writer", "limits", "pool", "metrics", "proxy", "settled", "endpoints",
    "app", "process",
)  # fmt: skip
#: What `core` may import from the standard library, none of which does I/O or reads a clock.
PURE = (
    "__future__", "array", "base64", "bisect", "collections", "ctypes", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "ipaddress",
    "itertools", "json", "math", "operator", "re", "string", "struct", "types", "typing",
    "urllib.parse",
)  # fmt: skip
#: What reaches the world without an import, or by a pure one.
WORLDLY = re.compile(r"open|print|input|.*\.(now|utcnow|today)")
#: The layers that a worker consists of, and what would make it larger or let it wait for others.
WORKER = ("core", "config", "store", "upstream", "jobs", "server")
NOT_FOR_WORKERS = ("airoxy.console", "airoxy.fleet", "psycopg", "psycopg2", "asyncpg", "pg8000")
#: The most modules in a folder, the __init__ among them.
MOST_MODULES = 14
AIROXY = Path(__file__).resolve().parent.parent / "airoxy"


class Module:
    """One file: its name in parts, and what it says in its syntax tree."""

    def __init__(self, name: str, text: bytes) -> None:
        self.parts = tuple(f"airoxy/{name}".split("/"))
        self.tree = ast.parse(text, name)

    @property
    def name(self) -> str:
        return ".".join(self.parts)

    @property
    def layer(self) -> str:
        return self.parts[1]

    @cached_property
    def imports(self) -> list[str]:
        """Full names, relative imports resolved, each name that is imported for itself."""
        return [name for node in ast.walk(self.tree) for name in self._imported(node)]

    def _imported(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            start = self.parts[: -node.level] if node.level else ()
            base = [*start, *filter(None, [node.module])]
            return [".".join([*base, alias.name]) for alias in node.names]
        return []

    @cached_property
    def calls(self) -> list[str]:
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return [ast.unparse(call.func) for call in calls]

    @property
    def classes(self) -> Iterator[str]:
        """The public ones."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name


@cache
def modules() -> list[Module]:
    """What there is."""
    paths = sorted(AIROXY.rglob("*.py"))
    return [Module(str(path.relative_to(AIROXY))[:-3], path.read_bytes()) for path in paths]


def planted(files: dict[str, str]) -> list[Module]:
    """What there would be with these files."""
    added = [Module(name, lines.encode()) for name, lines in files.items()]
    names = {module.name for module in added}
    return [module for module in modules() if module.name not in names] + added


def under(name: str, prefix: str) -> bool:
    """Whether this is `prefix` or something in it."""
    return f"{name}.".startswith(f"{prefix}.")


# The rules: each gives what speaks against it


def order_of_layers(found: list[Module]) -> Iterator[str]:
    for module in found:
        if module.layer not in LAYERS:
            yield f"{module.name} is in no layer"
            continue
        left = LAYERS[: LAYERS.index(module.layer) + 1]
        for name in module.imports:
            root, _, rest = name.partition(".")
            if root == "airoxy" and rest not in ("", "__version__"):
                if rest.split(".")[0] not in left:
                    yield f"{module.name} imports {name}"


def order_of_rooms(found: list[Module]) -> Iterator[str]:
    for module in found:
        if module.layer != "server":
            continue
        room = module.parts[2]
        if room not in ROOMS:
            yield f"{module.name} is in no room"
            continue
        left = ROOMS[: ROOMS.index(room) + 1]
        for name in module.imports:
            if under(name, "airoxy.server") and f"{name}.".split(".")[2] not in left:
                yield f"{module.name} imports {name}"


def purity_of_core(found: list[Module]) -> Iterator[str]:
    for module in found:
        if module.layer != "core":
            continue
        for name in module.imports:
            if not under(name, "airoxy") and not any(under(name, pure) for pure in PURE):
                yield f"{module.name} imports {name}"
        for name in filter(WORLDLY.fullmatch, module.calls):
            yield f"{module.name} calls {name}"


def lightness_of_workers(found: list[Module]) -> Iterator[str]:
    for module in found:
        if module.layer in WORKER:
            for name in module.imports:
                if any(under(name, heavy) for heavy in NOT_FOR_WORKERS):
                    yield f"{module.name} imports {name}"


def circles(found: list[Module]) -> Iterator[str]:
    """Modules that import one another, by whatever way."""
    names = {module.name.removesuffix(".__init__"): module for module in found}
    imports = {
        name: {
            target for each in module.imports if (target := known(each, names)) not in ("", name)
        }
        for name, module in names.items()
    }
    reached = {name: reachable(name, imports) for name in imports}
    seen: set[str] = set()
    for name in imports:
        circle = {other for other in reached[name] if name in reached[other]}
        if circle - seen:
            yield "a circle: " + " ".join(sorted(circle))
        seen |= circle


def known(name: str, names: dict[str, Module]) -> str:
    """The module that this import loads, or ""."""
    return next((each for each in (name, name.rpartition(".")[0]) if each in names), "")


def reachable(start: str, imports: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = imports[waiting.pop()] - reached
        reached |= fresh
        waiting += fresh
    return reached


def crowded_folders(found: list[Module]) -> Iterator[str]:
    for folder, count in Counter(module.parts[:-1] for module in found).items():
        if count > MOST_MODULES:
            yield f"{'/'.join(folder)} has {count} modules"


def doubled_names(found: list[Module]) -> Iterator[str]:
    places = defaultdict(list)
    for module in found:
        for name in module.classes:
            places[name].append(module.name)
    for name, homes in places.items():
        if len(homes) > 1:
            yield f"class {name} is in {' and '.join(homes)}"


RULES: tuple[Callable[[list[Module]], Iterator[str]], ...] = (
    order_of_layers,
    order_of_rooms,
    purity_of_core,
    lightness_of_workers,
    circles,
    crowded_folders,
    doubled_names,
)


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_holds(rule):
    assert list(rule(modules())) == []


@pytest.mark.parametrize(
    ("rule", "module", "lines", "complaint"),
    [
        (order_of_layers, "__init__", "from . import errors", "imports airoxy.errors"),
        (order_of_layers, "errors", "import airoxy.core.keys", "imports airoxy.core.keys"),
        (order_of_layers, "core/new", "from airoxy import config", "imports airoxy.config"),
        (order_of_layers, "config/new", "from ..store import keys", "imports airoxy.store.keys"),
        (order_of_layers, "store/new", "if 0:\n import airoxy.upstream", "imports airoxy.upstream"),
        (
            order_of_layers, "jobs/new", "def f():\n from airoxy.cli import command",
            "imports airoxy.cli.command",
        ),
        (order_of_layers, "server/new", "from airoxy.cli import x as y", "imports airoxy.cli.x"),
        (order_of_layers, "cli/new", "import airoxy.legacy_php", "imports airoxy.legacy_php"),
        (order_of_layers, "cli/new", "import airoxy.utils", "imports airoxy.utils"),
        (order_of_layers, "utils", "import os", "is in no layer"),
        (
            order_of_rooms, "server/shared_memory", "from .http import head",
            "imports airoxy.server.http.head",
        ),
        (
            order_of_rooms, "server/http/new", "if TYPE_CHECKING:\n from airoxy.server import app",
            "imports airoxy.server.app",
        ),
        (
            order_of_rooms, "server/pool/new",
            "def f():\n import airoxy.server.proxy.answer.relay",
            "imports airoxy.server.proxy.answer.relay",
        ),
        (order_of_rooms, "server/cellar/new", "import os", "is in no room"),
        (purity_of_core, "core/new", "import os", "imports os"),
        (purity_of_core, "core/new", "import urllib.request", "imports urllib.request"),
        (purity_of_core, "core/new", "from urllib import request", "imports urllib.request"),
        (purity_of_core, "core/new", "import jsonschema", "imports jsonschema"),
        (
            purity_of_core, "core/new", "now = datetime.datetime.now(UTC)",
            "calls datetime.datetime.now",
        ),
        (purity_of_core, "core/request/new", "text = open('x').read()", "calls open"),
        (
            lightness_of_workers, "server/new", "def f():\n import psycopg.rows",
            "imports psycopg.rows",
        ),
        (
            lightness_of_workers, "upstream/new", "from airoxy.console import page",
            "imports airoxy.console.page",
        ),
        (lightness_of_workers, "jobs/new", "from airoxy import fleet", "imports airoxy.fleet"),
    ],
)  # fmt: skip
def test_a_planted_violation_is_found(rule, module, lines, complaint):
    told = f"airoxy.{module.replace('/', '.')} {complaint}"
    assert told in list(rule(planted({module: lines})))


def test_a_planted_circle_is_found_however_it_is_closed():
    found = planted(
        {
            "jobs/one": "from .two import x",
            "jobs/two": "def f():\n    from airoxy.jobs import three",
            "jobs/three": "if TYPE_CHECKING:\n    from airoxy.jobs.one import X",
        }
    )
    assert "a circle: airoxy.jobs.one airoxy.jobs.three airoxy.jobs.two" in list(circles(found))


def test_a_planted_crowd_is_found():
    found = planted({f"jobs/new{n}": "" for n in range(MOST_MODULES)})
    assert any(told.startswith("airoxy/jobs has ") for told in crowded_folders(found))


def test_a_planted_second_class_of_a_name_is_found():
    found = planted({"jobs/one": "class Planted: ...", "cli/two": "class Planted: ..."})
    assert "class Planted is in airoxy.jobs.one and airoxy.cli.two" in list(doubled_names(found))


def test_what_is_allowed_is_not_complained_about():
    new = {
        "core/new": "from collections.abc import Iterable\nfrom urllib.parse import quote\n"
        "from .pool import Token\nfrom airoxy.errors import AiroxyError\n"
        "from airoxy import __version__\nnow = later(now).now\nclass _Own: ...",
        "server/pool/new": "from airoxy.server.http import head\nclass _Own: ...",
        "cli/new": "import airoxy\nimport os, httpx\nfrom airoxy.server import app",
    }
    found = [Module(name, lines.encode()) for name, lines in new.items()]
    for rule in RULES:
        assert list(rule(found)) == []
