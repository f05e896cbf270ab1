"""Configuration of the documentation site, which `make docs` builds with the distribution's Sphinx.

The source directory is the repository's root, so that links between README, guides and other pages
are the same here as on a code host.
"""

# ruff: noqa: INP001, A001 - Sphinx reads it as a script and prescribes the names

import re
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).resolve().parents[2]

project = "airoxy"
author = "The airoxy authors"
copyright = author
found = re.search(r'__version__ = "(.+?)"', (ROOT / "airoxy/__init__.py").read_text())
release = version = found[1] if found else ""

root_doc = "docs/site/index"
include_patterns = ["*.md", "docs/**", "bench/RESULTS*.md"]
exclude_patterns = [".*", "build", "dist"]

extensions = ["myst_parser"]
# Links name headings as a code host does.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"airoxy {version}"
html_show_sphinx = False
html_extra_path = ["root"]  # so that the site has a page at its root
html_copy_source = False
html_show_sourcelink = False


def setup(app):  # type: ignore[no-untyped-def]
    """Show the files of programs that Pygments does not know as they are."""
    for language in ("caddy", "haproxy"):
        app.add_lexer(language, TextLexer)
