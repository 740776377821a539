"""The report of one operation on the range: one HTML file that needs nothing else, its pictures SVG drawn by code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

TILE, GAP = 62, 6
WIDTH, HEIGHT = 760, 170


@dataclass(frozen=True, slots=True)
class Tile:
    """One country on the map: where it stands, how full it is (0 to 1), and what it says."""

    x: int
    y: int
    code: str
    name: str
    found: int
    contactable: int
    weight: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of the timeline, heights in pixels from the base line."""

    x: float
    width: float
    title: str
    parts: tuple[tuple[str, float, float], ...]


def write_report(path: Path, data: Mapping[str, Any]) -> None:
    """Renders `data` (see cli/demo) to `path`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clew.range"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    tiles = tiles_of(data["countries"])
    drawn = {
        "tiles": tiles,
        "tile": TILE,
        "map_width": max(t.x for t in tiles) + TILE,
        "map_height": max(t.y for t in tiles) + TILE,
        "bars": bars_of(data["timeline"]),
        "steps": _steps(data["steps"]),
        "chart": (WIDTH, HEIGHT),
        "most": max((f["leads"] + f["torrent_only"] for f in data["forces"]), default=1) or 1,
    }
    path.write_text(environment.get_template("report.html").render({**data, **drawn}), "utf-8")


def tiles_of(countries: Sequence[Mapping[str, Any]]) -> list[Tile]:
    """The countries as tiles, the more leads the fuller."""
    most = max((c["found"] for c in countries), default=1) or 1
    return [
        Tile(
            c["column"] * (TILE + GAP),
            c["row"] * (TILE + GAP),
            c["code"],
            c["name"],
            c["found"],
            c["contactable"],
            round(0.12 + 0.88 * c["found"] / most, 2),
        )
        for c in countries
    ]


def bars_of(timeline: Mapping[str, Sequence[int]]) -> list[Bar]:
    """Contacts by stretch of time: no answer, answered (E1), claims (E2), one on the other."""
    kinds = [k for k in ("none", "e1", "e2") if timeline.get(k)]
    count = max((len(timeline[k]) for k in kinds), default=0)
    highest = max((sum(timeline[k][n] for k in kinds) for n in range(count)), default=1) or 1
    found = []
    for n in range(count):
        base, parts = float(HEIGHT), []
        for kind in ("e2", "e1", "none"):
            height = timeline[kind][n] / highest * (HEIGHT - 10) if kind in kinds else 0.0
            base -= height
            parts.append((kind, round(base, 1), round(height, 1)))
        title = ", ".join(f"{timeline[k][n]} {NAMES[k]}" for k in kinds)
        width = WIDTH / count
        found.append(Bar(round(n * width, 1), round(width * 0.86, 1), title, tuple(parts)))
    return found


NAMES = {"none": "without an answer", "e1": "answered", "e2": "claimed pieces"}


def _steps(steps: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float, float]]:
    """Each step as (name, left in percent, width in percent, seconds)."""
    end = max((begin + seconds for _, begin, seconds in steps), default=1.0) or 1.0
    return [
        (name, round(100 * begin / end, 2), round(max(0.3, 100 * seconds / end), 2), round(seconds, 1))
        for name, begin, seconds in steps
    ]
