"""What one artefact says of a Lead, and what was said of it before by an Exhibit that may not be looked at now.

A Mandate ends, what it allowed to be found does not: a finding stays until its Exhibit may be set beside the Lead anew.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from clew.attribute.weigh import Match, Says
from clew.core import clock

STOOD = "as it came out at "  # how the reason begins that tells a finding of before


@dataclass(frozen=True, slots=True)
class Finding:
    """What one artefact says of a Lead. `shown` names the bytes that show it: (offset, length) in the Content `content`
    (SHA-256), which lies at `item` in `exhibit`.
    """

    says: Says
    watch: str
    matches: tuple[Match, ...]
    why: tuple[str, ...]
    exhibit: str
    linked: bool
    kind: str
    content: str
    shown: dict[str, tuple[int, int]]
    item: str
    live: bool


def of_before(kept: str, at_ns: int, stands: Callable[[Finding], bool]) -> Iterator[Finding]:
    """Of what `corroborations` keeps (JSON) of a Lead since `at_ns`, the findings that stand, each with that time."""
    said = json.loads(kept)
    for each in said["findings"] if isinstance(said, dict) else said:
        found = _finding(each)
        if stands(found):
            since = f"{STOOD}{clock.iso(at_ns)}: no Mandate covers that exhibit now, so it was not looked at anew"
            told = any(why.startswith(STOOD) for why in found.why)
            yield found if told else replace(found, why=(*found.why, since))


def _finding(kept: dict[str, Any]) -> Finding:
    shown = {name: (int(at), int(length)) for name, (at, length) in kept["shown"].items()}
    plain = {"says": Says(kept["says"]), "matches": tuple(map(Match, kept["matches"])), "why": tuple(kept["why"])}
    return Finding(**{**kept, **plain, "shown": shown})
