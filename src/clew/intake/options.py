"""How a run is asked for."""

from dataclasses import dataclass, field

from clew.core.engine import Limits
from clew.intake.archives.budget import Budgets
from clew.intake.listing import BatchSize
from clew.intake.seizure import Seizure

LIMITS = Limits(seconds=30.0, seconds_per_mb=0.2, memory=1536 << 20, output=64 << 20)


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is done. `extractors` are "module:name" (None: every plug-in). `moved`: the Exhibit may lie elsewhere
    than it did; `again_known_good`: what known-good sets stopped is looked at after all; `ed2k`: every Content's ed2k
    hash is made, whether anything calls for it or not.
    """

    workers: int = 0
    retry: bool = False
    again_known_good: bool = False
    moved: bool = False
    ed2k: bool = False
    accept_weak_isolation: bool = False
    batch: BatchSize = field(default_factory=BatchSize)
    limits: Limits = LIMITS
    extractors: tuple[str, ...] | None = None
    seizure: Seizure = field(default_factory=Seizure)
    budgets: Budgets = field(default_factory=Budgets)
