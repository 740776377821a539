"""The scenario file of a range operation: TOML, strict. docs/range.md explains every setting; the seed is not in it.

title = "..."                 # words for people
watches = 52                  # watched torrents
unwatched_torrents = 20       # torrents of which nothing is watched
real_torrents = 4             # how many of the watched ones real clients seed
nameless_watches = 0          # watched torrents all of whose clients say nothing stable of themselves
revisit = 20.0                # seconds: the least time between two counted contacts
seconds = 100.0               # length of the observation
switch = 50.0                 # when addresses change hands
handover = 1.5                # how far around it an endpoint counts as belonging to both
rate = 200.0                  # connections that the observer may open a second
at_once = 200                 # connections that it may have open at once
announce = 10.0               # seconds after which it asks the trackers and the DHT again
carriers = ["tcp"]            # what the operation offers: tcp, mse/tcp, utp, mse/utp
sources = ["http tracker"]    # http tracker, udp tracker, dht, pex
disk = "full"                 # the seized disk of a demo: full, small or none

[subjects]                    # planted. A whole number is a count, a fraction below 1 a share of `total`
total = 269                   # the class "plain" fills what is left
cgnat = 20

[bystanders]                  # "torrent-only" fills what is left
total = 2175
stale = 0.02
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from clew.core.errors import Usage
from clew.range.classes import BYSTANDERS, REST_OF_BYSTANDERS, REST_OF_SUBJECTS, SUBJECTS
from clew.range.scenario import Carrier, Pace, Source, Timing

DISKS = ("full", "small", "none")
MOST_PARTIES, MOST_WATCHES, MOST_REAL, LONGEST = 60_000, 5_000, 300, 3_000.0
LEAST_WATCHES = 3  # the class "several" has three
TIMES = ("revisit", "seconds", "switch", "handover")
PACE = ("rate", "at_once", "announce")
TORRENTS = ("watches", "unwatched_torrents", "real_torrents", "nameless_watches")
MOST_AT_ONCE = 2_000  # of the descriptors that a process may have
LARGEST_FILE = 1 << 16


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scenario file says. `subjects` and `bystanders` are counts by class, the filling classes included."""

    title: str
    watches: int
    unwatched_torrents: int
    real_torrents: int
    nameless_watches: int
    timing: Timing
    pace: Pace
    carriers: frozenset[Carrier]
    sources: frozenset[Source]
    disk: str
    subjects: dict[str, int]
    bystanders: dict[str, int]


def builtins() -> tuple[str, ...]:
    """The names of the scenarios that come with clew."""
    return tuple(sorted(p.name.removesuffix(".toml") for p in _folder().iterdir() if p.name.endswith(".toml")))


def text_of(name_or_path: str) -> str:
    """The text of a built-in scenario, or of a file. Raises Usage where it is neither."""
    if name_or_path in builtins():
        return (_folder() / f"{name_or_path}.toml").read_text("utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        raise Usage(f"there is no scenario {name_or_path}", f"name a TOML file, or one of: {', '.join(builtins())}")
    data = path.read_bytes()
    if len(data) > LARGEST_FILE:
        raise Usage(f"{path} is larger than {LARGEST_FILE} bytes", "a scenario file has a few dozen lines")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Usage(f"{path} is not UTF-8 text", "a scenario file is TOML") from error


def parse(text: str) -> Plan:
    """The plan that a text describes. Raises Usage for whatever is unknown, missing, of another type or impossible."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Usage(
            f"the scenario file is not TOML: {error}", "see docs/range.md, and `clew range show full`"
        ) from error
    known = ("title", *TORRENTS, *TIMES, *PACE, "carriers", "sources", "disk", "subjects", "bystanders")
    _only(found, known, "the scenario file")
    for name in known:
        if name not in found:
            raise Usage(f"the scenario file has no {name}", "see docs/range.md, and `clew range show full`")
    plan = Plan(
        title=_text(found["title"], "title"),
        **{name: _count(found[name], name) for name in TORRENTS},
        timing=Timing(**{name: _seconds(found[name], name) for name in TIMES}),
        pace=Pace(
            rate=_seconds(found["rate"], "rate"),
            at_once=_count(found["at_once"], "at_once"),
            announce=_seconds(found["announce"], "announce"),
        ),
        carriers=frozenset(_several(found["carriers"], "carriers", Carrier)),
        sources=frozenset(_several(found["sources"], "sources", Source)),
        disk=_text(found["disk"], "disk"),
        subjects=_classes(found["subjects"], "subjects", SUBJECTS, REST_OF_SUBJECTS),
        bystanders=_classes(found["bystanders"], "bystanders", BYSTANDERS, REST_OF_BYSTANDERS),
    )
    _possible(plan)
    return plan


def _possible(plan: Plan) -> None:
    timing, real = plan.timing, plan.subjects.get("real", 0)
    parties = sum(plan.subjects.values()) + sum(plan.bystanders.values())
    wrong = {
        f"disk is one of {', '.join(DISKS)}": plan.disk not in DISKS,
        f"watches lies between {LEAST_WATCHES} and {MOST_WATCHES}": not LEAST_WATCHES <= plan.watches <= MOST_WATCHES,
        "unwatched_torrents is at least 1": not 1 <= plan.unwatched_torrents <= MOST_WATCHES,
        "real_torrents is at least 1 where there are real clients": bool(real) and not plan.real_torrents,
        "real_torrents and nameless_watches together are at most watches": (
            plan.real_torrents + plan.nameless_watches > plan.watches
        ),
        f"at most {MOST_REAL} real clients": real > MOST_REAL,
        f"at most {MOST_PARTIES} subjects and bystanders": parties > MOST_PARTIES,
        f"seconds is at most {LONGEST:g}, above switch and twice revisit": not (
            2 * timing.revisit <= timing.seconds <= LONGEST and timing.switch < timing.seconds
        ),
        f"at_once lies between 1 and {MOST_AT_ONCE}": not 1 <= plan.pace.at_once <= MOST_AT_ONCE,
        "handover is shorter than revisit": timing.handover >= timing.revisit,
    }
    for rule, broken in wrong.items():
        if broken:
            raise Usage("the scenario file asks for what cannot be", rule)


def _classes(found: object, name: str, known: Mapping[str, object], rest: str) -> dict[str, int]:
    """Counts by class, in the order in which `known` has them."""
    if not isinstance(found, dict):
        raise Usage(f"{name} is no table", f"write [{name}] and below it total and the classes")
    _only(found, ("total", *known), f"[{name}]")
    total = _count(found.get("total"), f"{name}.total")
    counts = {}
    for kind, value in found.items():
        if kind != "total":
            share = isinstance(value, float) and 0 <= value < 1
            counts[kind] = round(value * total) if share else _count(value, f"{name}.{kind}")
    if rest in counts:
        raise Usage(f"{name}.{rest} is set", f"leave it out: it fills what the other classes leave of {name}.total")
    counts[rest] = total - sum(counts.values())
    if counts[rest] < 0:
        raise Usage(f"the classes of [{name}] are {-counts[rest]} more than their total", f"raise {name}.total")
    return {kind: counts[kind] for kind in known if kind in counts}


def _only(found: Iterable[str], known: Iterable[str], where: str) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise Usage(f"{where} has an unknown key {key!r}", hint)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Usage(f"{name} is no text", f'write {name} = "..."')
    return value


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Usage(f"{name} is no count", "write a whole number, 0 or more; a class may also be a fraction below 1")
    return value


def _seconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
        raise Usage(f"{name} is no time or rate", f"write a number above 0, at most {LONGEST:g}")
    return float(value)


def _several(values: Any, name: str, kind: type[StrEnum]) -> list[Any]:
    known = {each.value: each for each in kind}
    if not isinstance(values, list) or not values or not all(isinstance(v, str) and v in known for v in values):
        raise Usage(f"{name} is no list of known names", f"known: {', '.join(known)}; at least one")
    return [known[value] for value in values]


def _folder() -> Traversable:
    return resources.files("clew.range") / "scenarios"
