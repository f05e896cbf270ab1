"""A configuration file as read: the settings in it with their lines, and every mistake at once.

A mistake names the line, the key, what is wrong and what to do. A file that is not YAML is read
setting by setting; all mistakes are collected, and the wrong settings are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import yaml

from airoxy.config.kinds import is_null, shown
from airoxy.config.prices import LOADER, SHIPPED, WrongRows
from airoxy.config.schema import SECTIONS, SETTINGS

#: What to do about what YAML complains of; the words are of its two parsers (C and Python).
_ADVICE = (
    ("mapping values", "put a value with a colon in quotes, and begin lines of one section alike"),
    ("another document", "remove the line that is only ---"),
    ("alias", "put a value that begins with * in quotes"),
)
#: Bytes of a file; a device in its place may have no end.
_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake; `key` is None where it is about the file as a whole."""

    place: str
    key: str | None
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.key, self.text) if part)


@dataclass(slots=True)
class Document:
    """What a file says: values and lines by dotted key, and the mistakes in the order of lines."""

    path: Path
    values: dict[str, object] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def complain(self, line: int | None, key: str | None, text: str) -> None:
        """Note a mistake."""
        place = str(self.path) if line is None else f"{self.path}:{line}"
        self.mistakes.append(Mistake(place, key, text))


def read_document(path: Path) -> Document:
    """Read a file. Raises FileNotFoundError and nothing else: all other trouble is a mistake."""
    document = Document(path)
    root = compose(document)
    if isinstance(root, yaml.MappingNode):
        _read_mapping(document, root, section="")
        _check_tls(document)
    elif root is not None and not is_null(root):
        document.complain(
            line_of(root), None, "is not a list of settings; write lines of KEY: VALUE"
        )
    return document


def compose(document: Document) -> yaml.Node | None:
    """The file as YAML has it; None where it is empty, or not YAML, which is a mistake. Raises
    FileNotFoundError."""
    try:
        with document.path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        document.complain(None, None, f"cannot be read: {error.strerror}; {_READ_ADVICE}")
        return None
    if len(data) > _LARGEST:
        document.complain(None, None, f"is larger than {_LARGEST >> 20} MiB; name another file")
        return None
    return compose_text(document, data)


def compose_text(document: Document, data: bytes) -> yaml.Node | None:
    """The same of what the file would have in it."""
    try:
        text = data.decode("utf-8-sig")
        if _is_deep(text):
            document.complain(None, None, "is nested too deeply; two levels are all there are")
            return None
        return yaml.compose(text, LOADER)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.complain(line, None, "is not UTF-8; save the file in that encoding")
    except yaml.reader.ReaderError:
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        document.complain(line, None, "has an invisible control character; remove it")
    except yaml.MarkedYAMLError as error:
        return _compose_settings(document, text, error)
    return None


def _compose_settings(
    document: Document, text: str, error: yaml.MarkedYAMLError
) -> yaml.MappingNode | None:
    """The settings of a file that is not YAML, as far as each is YAML by itself."""
    starts = [found.start() for found in _SETTING.finditer(text)]
    found, before = [], len(document.mistakes)
    for start, end in pairwise([*starts, len(text)]):
        # The empty lines keep the numbers of the lines.
        part = "\n" * text.count("\n", 0, start) + text[start:end]
        try:
            node = None if _is_deep(part) else yaml.compose(part, LOADER)
        except yaml.MarkedYAMLError as wrong:
            document.complain(*_syntax(wrong, part))
        else:
            found += [node] if isinstance(node, yaml.MappingNode) else []
    if len(document.mistakes) == before or "document" in (error.problem or ""):
        document.mistakes[before:] = []
        document.complain(*_syntax(error, text))
        return None
    if not found:
        return None
    pairs = [pair for node in found for pair in node.value]
    return yaml.MappingNode(found[0].tag, pairs, found[0].start_mark, found[-1].end_mark)


#: A line with which a setting or a section begins.
_SETTING = re.compile(r"^[A-Za-z_][\w.-]*[ \t]*:(?=\s|$)", re.MULTILINE | re.ASCII)


def _is_deep(text: str) -> bool:
    """Whether it has more levels than any configuration. Thousands of them end older C parsers, and
    the process with them, and newer ones with words of their own: this stops before."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_LEVELS:
            return True
    return False


#: The configuration has two, a price row four.
_MOST_LEVELS = 20
_READ_ADVICE = "make it a file that everybody may read (mode 0644)"


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[int, None, str]:
    problem = error.problem or "unknown trouble"
    mark = error.problem_mark or error.context_mark
    # Of quotes and brackets that are never closed, the beginning is of use, not the end.
    if "end of stream" in problem and error.context_mark:
        mark = error.context_mark
    number = mark.line + 1 if mark else 1
    line = [*text.splitlines(), ""][number - 1]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return number, None, "begins with a tab; indent with spaces"
    advice = next((do for words, do in _ADVICE if words in problem), None)
    if advice is None:
        advice = "look at the indentation, quotes and brackets there and just before"
    return number, None, f"is not YAML: {problem}; {advice}"


def _read_mapping(document: Document, node: yaml.MappingNode, section: str) -> None:
    first: dict[str, int] = {}
    for key_node, value in node.value:
        line = line_of(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            document.complain(line, None, f"{shown(key_node)} is no key; write KEY: VALUE")
            continue
        name = str(key_node.value)
        key = f"{section}.{name}" if section else name
        if key in first:
            text = f"stands here again, first in line {first[key]}; remove one of the two"
            document.complain(line, key, text)
            _read_again(document, value, key, line)
            continue
        first[key] = line
        if "." not in name and key in SECTIONS:
            _read_section(document, value, key, line)
        elif "." not in name and key in SETTINGS:
            _read_setting(document, value, key, line)
        else:
            document.complain(line, key, f"there is no such setting; {_nearest(key)}")


def _read_again(document: Document, node: yaml.Node, key: str, line: int) -> None:
    """A key that stands there twice: its other mistakes are mistakes as well."""
    second = Document(document.path)
    if key in SECTIONS:
        _read_section(second, node, key, line)
    elif key in SETTINGS:
        _read_setting(second, node, key, line)
    document.mistakes += second.mistakes


def _read_section(document: Document, node: yaml.Node, key: str, line: int) -> None:
    if isinstance(node, yaml.MappingNode):
        _read_mapping(document, node, key)
    elif not is_null(node):
        text = f"{shown(node)} cannot stand here; write its settings below it, indented"
        document.complain(line, key, text)


def _read_setting(document: Document, node: yaml.Node, key: str, line: int) -> None:
    setting = SETTINGS[key]
    try:
        absent = is_null(node) and setting.null is not None
        document.values[key] = None if absent else setting.kind.read(node)
        document.lines[key] = line
    except WrongRows as error:
        for row, reason in error.rows:
            document.complain(line_of(row), key, f"{reason}; see {SHIPPED[-1]}")
    except ValueError as error:
        written = "what is written" if getattr(setting.kind, "is_secret", False) else shown(node)
        text = f"{written} {error}; give {setting.wanted}"
        document.complain(line, key, text)


def _check_tls(document: Document) -> None:
    """Certificate and key go together. What is written wrong has been complained of already."""
    pair = ("tls.certificate", "tls.key")
    present = [key for key in pair if document.values.get(key)]
    wrong = {mistake.key for mistake in document.mistakes}
    if len(present) == 1 and not wrong.intersection(pair):
        (absent,) = set(pair).difference(present)
        text = f"is missing; give it with {present[0]}, or remove both for plain HTTP"
        document.complain(document.lines.get(absent, document.lines[present[0]]), absent, text)
    if document.values.get("console.tls") and not present and not wrong.intersection(pair):
        text = "needs a certificate; give tls.certificate and tls.key, or set it to false"
        document.complain(document.lines["console.tls"], "console.tls", text)


def _nearest(key: str) -> str:
    import difflib  # only where there is a mistake

    if key in SETTINGS:
        section, _, name = key.partition(".")
        return f"write {name}: indented, below {section}:"
    name = key.rpartition(".")[2]
    known = {setting.rpartition(".")[2]: setting for setting in SETTINGS}
    known |= {whole: whole for whole in (*SETTINGS, *SECTIONS)}
    near = [name] if name in known else difflib.get_close_matches(key, known, 1)
    near = near or difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean {known[near[0]]}?"
    return "remove it; airoxy.yaml(5) has all settings"


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
