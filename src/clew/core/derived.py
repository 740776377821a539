"""What came out when a case's results were derived again from what it holds: a tally that says what could not be."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MOST_SHOWN = 20


@dataclass(slots=True)
class Derived:
    """How many are the same by kind, how many hold nothing to derive, how many cannot be derived and why, and those
    that differ, each with its id. `digest` is over all that came out.
    """

    same: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)
    not_derived: Counter[str] = field(default_factory=Counter)
    differing: list[str] = field(default_factory=list)
    digest: str = ""

    def compare(self, kind: str, name: str, wrong: list[str]) -> None:
        """Takes one thing that was derived; `wrong` is what differs."""
        if wrong:
            self.differing.append(f"{kind} {name}: {', '.join(wrong)}")
        else:
            self.same[kind] += 1

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "same": dict(sorted(self.same.items())),
            "empty": dict(sorted(self.empty.items())),
            "not_derived": dict(sorted(self.not_derived.items())),
            "differing": len(self.differing),
            "first_differing": self.differing[:MOST_SHOWN],
            "digest": self.digest,
        }
