"""Wishes to call, and moments, as the tests of what decides on them share them."""

from typing import Any

from clew.core.clock import Instant
from clew.observe.api import SECOND
from clew.observe.policy import Wish

TRACKER = "http://127.1.0.1:6969/announce"
NOW = 1_800_000_000 * SECOND


def wish(address: str = "127.20.0.1", port: int = 6881, kind: str = "contact", **other: Any) -> Wish:
    return Wish(kind, "W", address, port, other.pop("source", TRACKER), **other)


def at(seconds: float) -> Instant:
    return Instant(NOW + int(seconds * SECOND), int((100 + seconds) * SECOND))
