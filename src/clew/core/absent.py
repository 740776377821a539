"""How code inside a worker says that a value is not there: it raises Absent, and the engine records the Missing."""

from clew.model import Missing, Reason


class Absent(Exception):
    """The answer to this item is a Missing. Raised by an entry, never seen outside the worker."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(str(missing))
        self.missing = missing


class CutShort(Absent):
    """What was read before it was raised stands; nothing comes after that, for the reason given."""


def absent(reason: Reason, detail: str) -> Absent:
    """A Missing ready to be raised, for a given reason."""
    return Absent(Missing(reason, detail))
