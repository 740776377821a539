"""What a worker would send of the artefacts in some bytes."""

import json
from typing import Any

from clew.core import plugins
from clew.intake import reading
from clew.intake.api import Probe
from clew.intake.tools import ARTEFACTS

PLUGINS = plugins.load_all(ARTEFACTS)


def rows(data: bytes, name: str | None = None) -> list[dict[str, Any]]:
    """The rows of one plug-in, or of all, in the order in which they are sent."""
    probe = Probe(memoryview(data), len(data), "application/octet-stream")
    chosen = [PLUGINS[name]] if name else PLUGINS.values()
    return [row for each in chosen for row in _all(each, probe)]


def _all(plugin: Any, probe: Probe) -> list[dict[str, Any]]:
    blobs: list[bytes] = []
    return [reading._row(name, value, blobs) for name, value in plugin.traits(probe)]


def entries(found: list[dict[str, Any]], part: str = "") -> list[dict[str, Any]]:
    """The entries among the rows, or their "files" or "endpoints" as one list of traits."""
    wanted = f"p2p.entry.{part}" if part else "p2p.entry"
    return [json.loads(row["text"]) for row in found if row["name"] == wanted and "text" in row]


def listed(found: list[dict[str, Any]], part: str) -> list[Any]:
    """All files or endpoints of all entries."""
    return [each for trait in entries(found, part) for each in trait[part]]


def one(found: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The row of that name, None where there is none."""
    named = [row for row in found if row["name"] == name]
    assert len(named) <= 1
    return named[0] if named else None
