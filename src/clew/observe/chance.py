"""Random bytes of the system, many at once: each call of it lets other threads in, which thousands would feel."""

import os

AT_ONCE = 64 * 1024
ID_BYTES = 16  # as `core.case.new_id`


class Chance:
    """For one process that does not fork: no byte is given twice."""

    def __init__(self) -> None:
        self._held, self._at = b"", 0

    def __call__(self, count: int) -> bytes:
        """So many bytes."""
        if self._at + count > len(self._held):
            self._held, self._at = os.urandom(AT_ONCE), 0
        self._at += count
        return self._held[self._at - count : self._at]

    def id(self) -> str:
        """An id, as `core.case.new_id` makes them one by one."""
        return self(ID_BYTES).hex()
