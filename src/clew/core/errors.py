"""What a user sees when something cannot be done: one error line, one hint line, one exit status.

Exit statuses (documented in docs/formats.md): 0 done, 1 fatal, 2 usage, 3 done but something could not be read,
4 done, but the training range saw what no observer may do or keep.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit status of every clew command."""

    DONE = 0
    FATAL = 1
    USAGE = 2
    INCOMPLETE = 3
    FORBIDDEN = 4


class ClewError(Exception):
    """A refusal or failure that a person can act on: `message` says what happened, `hint` what to do."""

    status = Exit.FATAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Usage(ClewError):
    """The command was given wrong: nothing was started."""

    status = Exit.USAGE


class Refused(ClewError):
    """A rule of clew forbids it: no mandate, out of scope, a table of another stage, weak isolation."""


class Held(ClewError):
    """Another run holds the lease; the message names the holder."""


class Damaged(ClewError):
    """Something does not verify; the message names the first place that does not hold."""
