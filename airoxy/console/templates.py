"""The templates of the pages, with how they show money, counts and times.

Invariant: whatever is put into a template is escaped.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from airoxy import __version__
from airoxy.views.formats import cents, dollars, duration, short, short_model
from airoxy.views.times import past, rfc3339, span, zoned_moment

HERE = Path(__file__).parent
STATIC = HERE / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


#: What stands at the side of every page.
NAVIGATION = (
    ("/", "Overview"), ("/keys", "Keys"), ("/groups", "Groups"), ("/tokens", "Tokens"),
    ("/log", "Log"), ("/reports", "Reports"), ("/prices", "Prices"), ("/audit", "Audit"),
    ("/health", "Health"),
)  # fmt: skip


@cache
def static_files() -> dict[str, tuple[str, bytes]]:
    """Content type and content of each file, by its name."""
    return {
        file.name: (_TYPES[file.suffix], file.read_bytes())
        for file in sorted(STATIC.iterdir())
        if file.suffix in _TYPES
    }


def static_url(name: str) -> str:
    """With a digest of the content, so that a browser keeps it until it changes."""
    content = static_files()[name][1]
    return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"


@pass_context
def _when(context: Context, seconds: float | None) -> Markup:
    """How long ago, or in how long, with the exact time at hand."""
    if seconds is None:
        return Markup('<span class="soft">never</span>')
    now, zone = context["now"], context["zone"]
    told = past(seconds, now) if seconds <= now else f"in {span(seconds - now)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        rfc3339(int(seconds)), zoned_moment(seconds, zone), told
    )


def _bar(share: float) -> Markup:
    """A share of a limit, as a bar; styles in attributes are not allowed here."""
    kind = "bad" if share >= 1 else "warn" if share >= 0.8 else "ok"
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img"'
        ' aria-label="{:.0%}"><rect class="rest" width="100" height="8"/>'
        '<rect class="used" width="{:.1f}" height="8"/></svg>'
    ).format(kind, share, max(0.0, min(1.0, share)) * 100)


@cache
def environment() -> Environment:
    """What renders pages."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "bar": _bar, "cents": cents, "dollars": dollars, "duration": duration,
        "short": short, "short_model": short_model, "span": span, "when": _when,
    }  # fmt: skip
    found.globals |= {"static": static_url, "version": __version__, "navigation": NAVIGATION}
    return found


def render(template: str, values: dict[str, Any]) -> str:
    """The page."""
    visitor = values.get("visitor")
    hidden = Markup('<input type="hidden" name="csrf" value="{}">').format(
        visitor.csrf if visitor else ""
    )
    return environment().get_template(template).render({**values, "csrf": lambda: hidden})
