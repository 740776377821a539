"""What the review stage speaks of: schemes, strokes, and what stands of a Content. Dataclasses and one Protocol."""

from dataclasses import dataclass
from typing import Any, Protocol

from clew.model import Category, GradeState, Missing

NEAR = 31
"""PDQ distance in bits up to which a grade is proposed (the match threshold of ThreatExchange, pdq/README)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One category of a scheme, and the key that gives it."""

    key: str
    code: str
    label: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """The categories a reviewer chooses from. (scheme, country, version, code) is one key and is never remapped."""

    name: str
    title: str
    country: str
    version: str
    note: str
    choices: tuple[Choice, ...]

    def category(self, code: str) -> Category:
        """The Category of one of this scheme's codes. Raises KeyError for any other."""
        if all(choice.code != code for choice in self.choices):
            raise KeyError(code)
        return Category(self.name, self.country, self.version, code)


@dataclass(frozen=True, slots=True)
class Stroke:
    """What one stroke of the keyboard did; undo takes back all of it.

    `proposed`, `confirmed` and `rejected` count Contents; `content` is the one that was graded, if one was.
    """

    id: str
    did: str
    reviewer: str
    at_ns: int
    content: bytes | None = None
    proposed: int = 0
    confirmed: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands of one Content: the newest grade that was not undone."""

    grade: str
    content: bytes
    category: Category
    state: GradeState
    reviewer: str
    at_ns: int
    inherited_from: bytes | None
    distance: int | None

    @property
    def settled(self) -> bool:
        """A person decided or confirmed it. Only such a grade is ever exported as a known hash."""
        return self.state in (GradeState.DECIDED, GradeState.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it may be served: re-encoded grey JPEG bytes."""

    jpeg: bytes
    width: int
    height: int


class Renderer(Protocol):
    """Makes servable pictures out of stored ones, in a worker; never passes stored bytes through."""

    @property
    def isolation(self) -> dict[str, Any]:
        """Each layer of the worker's sandbox as {"reached": bool, "detail": str}."""

    def render(self, wanted: list[tuple[bytes, str]]) -> list[Picture | Missing]:
        """One answer for each (blob SHA-256, "blurred" or "clear"), in order."""
