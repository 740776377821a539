"""attribute's contract: what a register answers, what a register plug-in is, and what a run says.

A register says where an address was assigned or used and what kind of network it lies in. It is a claim of that
register at its date, never a fact: two may disagree, and then the lead stays with the coordinating force.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol


class NetworkKind(StrEnum):
    """What kind of network an address lies in, as far as a register says so."""

    ISP = "isp"
    MOBILE = "mobile"
    CGNAT = "cgnat"
    HOSTING = "hosting"
    VPN = "vpn"
    TOR = "tor"
    UNKNOWN = "unknown"


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
