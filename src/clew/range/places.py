"""Where the range lies: 22 countries on 127.10-127.31, 26 forces, and what kind of network each block is.

All of 127.0.0.0/8 is this machine (RFC 1122 section 3.2.1.3), so nothing of the range can leave it. The third octet
tells the region (a country with two forces is cut in the middle) and the kind of network.
"""

import random
from dataclasses import dataclass
from functools import cache

COORDINATOR = "XX"
TRACKER_ADDRESSES = ("127.1.0.1", "127.1.0.2")

COUNTRIES: tuple[tuple[str, str, int, int], ...] = (
    # code, name, column and row on the report's tile map
    ("AT", "Austria", 4, 5),
    ("BE", "Belgium", 2, 4),
    ("BG", "Bulgaria", 7, 6),
    ("CZ", "Czechia", 4, 4),
    ("DE", "Germany", 3, 4),
    ("DK", "Denmark", 3, 2),
    ("EE", "Estonia", 6, 1),
    ("ES", "Spain", 1, 6),
    ("FI", "Finland", 6, 0),
    ("FR", "France", 2, 5),
    ("GR", "Greece", 6, 7),
    ("HR", "Croatia", 4, 6),
    ("HU", "Hungary", 5, 5),
    ("IE", "Ireland", 0, 3),
    ("IT", "Italy", 3, 6),
    ("LT", "Lithuania", 6, 3),
    ("LV", "Latvia", 6, 2),
    ("NL", "Netherlands", 2, 3),
    ("PL", "Poland", 5, 4),
    ("PT", "Portugal", 0, 6),
    ("RO", "Romania", 6, 5),
    ("SE", "Sweden", 4, 1),
)
TWO_FORCES = ("BE", "DE", "ES", "IT")
REGIONS = ("N", "S")

# Kind of network by third octet, within the first half of the /16; the second half repeats it for a second region.
BLOCKS: tuple[tuple[str, int, int], ...] = (
    ("isp", 0, 32),
    ("", 32, 64),
    ("mobile", 64, 72),
    ("cgnat", 72, 80),
    ("hosting", 80, 96),
    ("vpn", 96, 104),
    ("tor", 104, 108),
    ("disputed", 112, 128),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A country's region as the range means it, before any register is asked. `force` is whose it is."""

    country: str
    region: str | None
    octet: int

    @property
    def force(self) -> str:
        """Code of the one force that this place belongs to."""
        return f"{self.country}-{self.region}" if self.region else self.country

    @property
    def base(self) -> int:
        """First third-octet of this region within 127.<octet>.0.0/16."""
        return 128 if self.region == REGIONS[1] else 0


@dataclass(frozen=True, slots=True)
class ForceSpec:
    """A force as the range sets it up."""

    code: str
    name: str
    country: str
    region: str | None


@cache
def places() -> tuple[Place, ...]:
    """The 26 places, one a force, in the order of the countries."""
    found: list[Place] = []
    for octet, (code, *_rest) in enumerate(COUNTRIES, 10):
        regions = REGIONS if code in TWO_FORCES else (None,)
        found += [Place(code, region, octet) for region in regions]
    return tuple(found)


def forces() -> tuple[ForceSpec, ...]:
    """The 26 forces; names say that they are of the training range."""
    names = {code: name for code, name, *_ in COUNTRIES}
    side = {"N": " (north)", "S": " (south)", None: ""}
    return tuple(
        ForceSpec(p.force, f"Training force {names[p.country]}{side[p.region]}", p.country, p.region) for p in places()
    )


def address(place: Place, kind: str, rng: random.Random) -> str:
    """A random address of a place in a block of that kind ('' is a line of which no register tells the kind)."""
    low, high = next((a, b) for name, a, b in BLOCKS if name == kind)
    return f"127.{place.octet}.{place.base + rng.randrange(low, high)}.{rng.randrange(1, 255)}"


@dataclass(frozen=True, slots=True)
class Network:
    """One block of the plan: its CIDR, where it truly is, its kind, and whether the registers dispute it."""

    cidr: str
    place: Place
    kind: str
    disputed: bool


def networks() -> tuple[Network, ...]:
    """The whole plan as aligned /24 to /17 blocks; a country with one force spans both halves alike."""
    found: list[Network] = []
    for place in places():
        halves = (place.base,) if place.region else (0, 128)
        for half in halves:
            for kind, low, high in BLOCKS:
                found += [
                    Network(cidr, place, "" if kind == "disputed" else kind, kind == "disputed")
                    for cidr in _cidrs(place.octet, half + low, half + high)
                ]
    return tuple(found)


def _cidrs(octet: int, low: int, high: int) -> list[str]:
    """The fewest aligned blocks that cover third octets low..high-1."""
    found = []
    while low < high:
        size = low & -low or 128
        while low + size > high:
            size //= 2
        found.append(f"127.{octet}.{low}.0/{24 - size.bit_length() + 1}")
        low += size
    return found
