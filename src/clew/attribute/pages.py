"""Pages for people who never saw clew: one file, no script, nothing loaded, printable.

The Content-Security-Policy of a page allows its own style, by hash, and nothing else. Every value is escaped by Jinja,
and goes through `masked.Masked` before: no infohash and no control code can be on a page, whatever a peer calls itself.
"""

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from clew.core.network_words import network_words

TEMPLATES = ("base.html", "provider.html", "lead.html")


def render(template: str, words: Callable[[str], str], **values: Any) -> str:
    """The page made from one of TEMPLATES. Raises UndefinedError where a value that it needs is not given."""

    def shown(value: Any) -> Any:
        return words(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    style = _file("page.css")
    environment = Environment(
        loader=DictLoader({name: _file(name) for name in TEMPLATES}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {"utc": utc, "network": network_words}
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(style=Markup(style), policy=Markup(policy), **values)  # noqa: S704 - both are ours alone


def utc(text: str) -> str:
    """An ISO time as people read it: 2026-01-31 23:59:59.123."""
    return text.replace("T", " ").removesuffix("Z")


def _file(name: str) -> str:
    return (resources.files("clew.attribute") / "templates" / name).read_text("utf-8")
