"""What a connection is to a fake, whatever carries it."""

from typing import Protocol


class Line(Protocol):
    """A way to a caller."""

    def write(self, data: bytes) -> None:
        """Says something."""

    def close(self) -> None:
        """Ends it after all that was said."""

    def abort(self) -> None:
        """Breaks it off at once."""


class Hearer(Protocol):
    """Who hears what the caller says."""

    def receive(self, data: bytes) -> None:
        """Some bytes of the caller's, in order."""

    def ended(self) -> None:
        """The caller says nothing more. May be told twice."""
