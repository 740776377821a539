"""Fixtures of the corroboration tests."""

from corroborate_case import make, world

__all__ = ["make", "world"]
