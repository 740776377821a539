"""Fixtures of the tests of runs, of corroboration and of verbs."""

from attribute_case import countries, full, register, run
from corroborate_case import make, world

__all__ = ["countries", "full", "make", "register", "run", "world"]
