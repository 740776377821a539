"""A ByteSource that stands before another one."""

from clew.intake.api import ByteSource, Range


class Over:
    """The bytes of `source`; who changes, keeps or watches them on their way has a `read` of its own."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source

    @property
    def size(self) -> int:
        """Bytes."""
        return self.source.size

    @property
    def bad(self) -> list[Range]:
        """What could not be read of it so far, and was given as zeros."""
        return self.source.bad

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource."""
        return self.source.read(offset, length)
