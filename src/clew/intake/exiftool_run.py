"""One locked exiftool that is asked about several pictures, one after the other, and which answer is whose.

Each picture is a command of its own to it (-stay_open, -execute), on a descriptor of its own. An answer counts for a
picture only where it names that descriptor and ends in that picture's number, which is random: a picture that has it
say too much, nothing, or the words of another answer cannot be taken for another one. What it did not answer so is
never said of a picture here: it is asked again, alone (`clew.intake.exiftool_runs`).
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Any

from clew.core import external
from clew.model import Missing, Reason

INTERPRETER = "/usr/bin/perl"
# Its names; each becomes a Trait, "exiftool.SerialNumber"
TAGS = ("SerialNumber", "InternalSerialNumber", "CameraSerialNumber", "BodySerialNumber", "LensSerialNumber",
        "ShutterCount", "ShutterCount2", "ShutterCount3", "ImageCount", "ImageNumber", "FileNumber", "OwnerName",
        "ImageUniqueID", "ContentIdentifier", "MakerNoteVersion")  # fmt: skip
SECONDS_ALONE, SECONDS_EACH = 60.0, 10.0  # that one picture may take, alone and among others
Tags = dict[str, str | int | float]
Picture = tuple[bytes, bytes]  # SHA-256, and the bytes that are read


class Run:
    """One process, for these pictures. Bounds of output and time are those of each picture, of memory (512 MiB) the
    whole run's.
    """

    def __init__(self, program: str, pictures: Sequence[Picture], accept_weak: bool) -> None:
        self.pictures = tuple(pictures)
        self.alone = len(self.pictures) == 1
        self.seconds = SECONDS_ALONE if self.alone else SECONDS_EACH
        self.isolation: dict[str, Any] = {}
        self.unanswered: list[Picture] = []  # passed over; what it did not come to is in `end`
        numbers = [secrets.randbelow(9 * 10**17) + 10**17 for _ in self.pictures]
        with ExitStack() as stack:
            held = [stack.enter_context(external.memory(data)) for _, data in self.pictures]
            self._paths = [f"/proc/self/fd/{descriptor}" for descriptor in held]
            asked = stack.enter_context(external.memory(_commands(self._paths, numbers)))
            self.running = external.start(
                [program, "-stay_open", "True", "-@", "-"],
                asked,
                runnable=[INTERPRETER],
                beside=held,
                seconds=self.seconds * len(self.pictures),
                accept_weak=accept_weak,
            )
        self._ends = [b"{ready%d}\n" % number for number in numbers]
        self._at = 0
        self._since = monotonic()
        self._over = False
        self._beyond: Missing | None = None

    @property
    def left(self) -> float:
        """Seconds until the picture in hand takes too long."""
        return self._since + self.seconds - monotonic()

    def hear(self) -> Iterator[tuple[bytes, Tags]]:
        """Waits until it writes, and gives what that answers: SHA-256, and those of TAGS that it has."""
        self._over = not self.running.hear()
        while self._at < len(self.pictures) and self._ends[self._at] in self.running.output:
            end = self.running.output.index(self._ends[self._at])
            said = bytes(self.running.output[:end])
            del self.running.output[: end + len(self._ends[self._at])]
            picture, path = self.pictures[self._at], self._paths[self._at]
            self._at += 1
            self._since = monotonic()
            if (tags := answer(said, path)) is None:
                self.unanswered.append(picture)
            else:
                yield picture[0], tags

    @property
    def over(self) -> bool:
        """Whether nothing more is to be heard of it, since it ended or went beyond a bound."""
        if self._at == len(self.pictures):
            return True
        if len(self.running.output) > external.MOST_OUTPUT:
            self._beyond = external.TOO_MUCH
        elif not self._over and self.left <= 0:
            self._beyond = external.TOO_LONG
        return self._over or self._beyond is not None

    def end(self) -> tuple[Missing, tuple[Picture, ...]]:
        """Ends it, in any case: why the first picture that it did not come to has no answer, and all of those."""
        if self._over or self.unanswered:
            self.running.ended(1.0)  # for its exit status
        ran = self.running.end()
        self.isolation = self.running.isolation
        if isinstance(ran, Missing):
            return self._beyond or ran, self.pictures[self._at :]
        none = Missing(Reason.UNPARSABLE, f"exiftool gave no answer (exit status {ran.status})")
        return self._beyond or none, self.pictures[self._at :]


def _commands(paths: Sequence[str], numbers: Sequence[int]) -> bytes:
    lines: list[str] = []
    for path, number in zip(paths, numbers, strict=True):
        lines += ["-j", "-n", *(f"-{tag}" for tag in TAGS), path, f"-execute{number}"]
    return "\n".join([*lines, "-stay_open", "False", ""]).encode()


def answer(said: bytes, path: str) -> Tags | None:
    """Those of TAGS that it has of the picture at that path; None where this is no answer on that one alone."""
    try:
        (about,) = json.loads(said)
        if about["SourceFile"] != path:
            return None
        return {tag: about[tag] for tag in TAGS if isinstance(about.get(tag), str | int | float)}
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
