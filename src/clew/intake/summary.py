"""How a run is asked for, and what it ends with."""

from dataclasses import dataclass, field
from typing import Any

from clew.core.engine import Limits
from clew.intake.account import Account
from clew.intake.archives.budget import Budgets
from clew.intake.custody import Seizure
from clew.intake.listing import BatchSize

LIMITS = Limits(seconds=30.0, seconds_per_mb=0.2, memory=1536 << 20, output=64 << 20)


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is done. `extractors` are "module:name" (None: every plug-in)."""

    workers: int = 0
    retry: bool = False
    accept_weak_isolation: bool = False
    batch: BatchSize = field(default_factory=BatchSize)
    limits: Limits = LIMITS
    extractors: tuple[str, ...] | None = None
    seizure: Seizure = field(default_factory=Seizure)
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run ends with: the account of the whole Exhibit, and how this run was isolated and touched the
    evidence.
    """

    exhibit: str
    label: str
    kind: str
    sha256: str | None
    account: Account
    isolation: dict[str, Any]
    effects: dict[str, Any]
    doubted: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        fields = ("exhibit", "label", "kind", "sha256", "isolation", "effects", "doubted", "seconds")
        return {**{name: getattr(self, name) for name in fields}, **self.account.as_dict()}

    def words(self) -> str:
        """For a person."""
        lines = [f"{self.label}: {self.kind}" + (f", SHA-256 {self.sha256}" if self.sha256 else "")]
        lines += [self.account.words()]
        if self.doubted:
            lines.append(f"{self.doubted:,} deleted files share blocks with another one: overwritten possible")
        lines.append(f"isolation: {isolation_words(self.isolation)}")
        if self.effects.get("access_times_touched"):
            touched = self.effects["access_times_touched"]
            lines.append(f"{touched:,} openings could not ask the system to leave access times alone")
        lines.append("what is not listed here was not looked for; that is no statement that nothing else was there")
        return "\n".join(lines)


def isolation_words(layers: dict[str, Any]) -> str:
    """Which layers of the sandbox were reached, and which not."""
    reached = [name for name, layer in layers.items() if layer["reached"]]
    lost = [f"{name} NOT reached ({layer['detail']})" for name, layer in layers.items() if not layer["reached"]]
    return ", ".join([*reached, *lost])
