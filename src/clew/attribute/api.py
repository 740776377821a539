"""attribute's contract: what a register and a ranking rule are, what each is told and answers, and what a run says.

A register says where an address was assigned or used and what kind of network it lies in. It is a claim of that
register at its date, never a fact: two may disagree, and then the lead stays with the coordinating force.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol


class NetworkKind(StrEnum):
    """What kind of network an address lies in, as far as a register says so.

    `PROXY` is any service that may stand between the address and its user, and is not said to be a VPN or a Tor exit.
    """

    ISP = "isp"
    MOBILE = "mobile"
    CGNAT = "cgnat"
    HOSTING = "hosting"
    PROXY = "proxy"
    VPN = "vpn"
    TOR = "tor"
    UNKNOWN = "unknown"


CAUTION: tuple[NetworkKind, ...] = (
    NetworkKind.TOR,
    NetworkKind.VPN,
    NetworkKind.PROXY,
    NetworkKind.HOSTING,
    NetworkKind.CGNAT,
    NetworkKind.MOBILE,
    NetworkKind.ISP,
)
# What the registries write of a block that they assigned to no one country of their region: who says DE beside it does
# not contradict it.
NO_COUNTRY = ("EU", "AP")


class LeadState(StrEnum):
    """Who holds a lead: a force, the coordinating force (its country is not sure), or nobody any more."""

    ASSIGNED = "assigned"
    COORDINATOR = "coordinator"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RegisterSpec:
    """A register to ask: the plug-in's name, its file, and its date where the file itself does not tell."""

    plugin: str
    path: Path | None = None
    dated_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one register says of one address. None is "not in this register". `country` is ISO 3166-1 alpha-2."""

    country: str | None = None
    subdivision: str | None = None
    kind: NetworkKind = NetworkKind.UNKNOWN
    network: str | None = None


class OpenRegister(Protocol):
    """A register at one date, ready to be asked."""

    @property
    def dated_ns(self) -> int | None:
        """When its data were made, nanoseconds UTC; None where it does not say."""

    @property
    def data(self) -> Path:
        """The file that holds its data, whose SHA-256 goes into the case."""

    def lookup(self, address: str) -> Answer:
        """What it says of an IPv4 or IPv6 address in its usual text form; an empty Answer where it has nothing."""


class Register(Protocol):
    """A kind of register: one file in `registers/`."""

    name: str
    what: str

    def open(self, path: Path | None) -> OpenRegister:
        """Opens it. Raises Usage or Damaged, saying what is wrong and what to do."""

    def example(self, folder: Path) -> tuple[Path | None, Mapping[str, Answer]]:
        """Writes a benign example into `folder`; returns its path, and some addresses with what it must answer."""


@dataclass(frozen=True, slots=True)
class Graded:
    """How a claimed Watch is graded: (scheme, category) as they stand in it, never remapped.

    `weight` is what the operator's table gives this pair, 0 to 10; None where it gives none.
    """

    watch: str
    scheme: str
    category: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """All that a ranking rule is told of one lead. What people entered as prior knowledge is not in it.

    `watched_files`: Watches with a repeated claim of pieces inside the watched file; `days`: different days (UTC) with
    such a claim; `claims`: contacts that claimed; `idle_days`: days since the last claim; `torrent_only`: nothing but
    claims of the torrent; `urgent`: reasons of people for which it comes first.
    """

    watched_files: int
    days: int
    claims: int
    idle_days: float
    torrent_only: bool
    graded: tuple[Graded, ...] = ()
    urgent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a rule looks at. `points` are `weight` x `measure`; `measure` is made of `value` as `how` says."""

    name: str
    value: float
    how: str
    measure: float
    weight: float
    says: str

    @property
    def points(self) -> float:
        """What it adds to the score, or takes from it."""
        return round(self.weight * self.measure, 2) + 0.0  # no minus before a zero


class Rule(Protocol):
    """A ranking rule: one file in `ranks/`. A suggestion in which order people look, never a verdict.

    Pure: the same `Known` always gives the same features. The score is the sum of their points, and an urgent lead
    scores above every lead that is not.
    """

    name: str
    version: str
    what: str
    examples: tuple[tuple[Known, float], ...]
    """What it is told, and the score that it must give."""

    def features(self, known: Known) -> tuple[Feature, ...]:
        """Everything that it looks at, each name once; what does not apply has a measure of 0."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run of attribute did, in numbers and sentences; `covered` says what was not looked at."""

    subjects: int
    intervals: int
    leads: int
    assigned: int
    coordinator: int
    expired: int
    torrent_only: int
    possible_links: int
    forces: dict[str, int]
    refused: dict[str, int]
    covered: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)
