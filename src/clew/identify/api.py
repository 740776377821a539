"""identify's contract: what a linker is, and what a run says.

A link says why two Contents may belong together. Series are made of near-duplicate links alone: such a link can be seen
with the eye, others (camera, scene, time) suggest and are shown, and never move a Content into a Series by themselves.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from clew.core.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Near:
    """A link as rows of Pictures: `centre` stands for `member`, which lies `distance` from it. `score` is 0..1."""

    centre: int
    member: int
    distance: int
    score: float
    detail: str


class Linker(Protocol):
    """A way to link: one file in `linkers/`."""

    name: str
    version: str
    what: str

    def link(self, pictures: Pictures) -> Iterator[Near]:
        """Links around centres. No centre is a member of another centre; the same pictures give the same links."""

    def example(self) -> tuple[Pictures, list[tuple[int, int, int]]]:
        """Benign pictures, and the (centre, member, distance) that must come out, sorted."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an identify run did. `pictures` are those looked at, of which a Content may have several; `alone` those that
    are shown and in no Series. `excluded`: Contents set aside, by reason; `covered`: what was not looked at.
    """

    pictures: int
    links: int
    series: int
    known: int
    members: int
    largest: int
    alone: int
    excluded: dict[str, int]
    covered: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)
