"""What an archive is made of, whoever reads it: members in stream order, and how each of them may be lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from clew.core.absent import Absent
from clew.intake.api import ByteSource, Range
from clew.model import Missing, Reason

CHUNK = 1 << 18
ENDLESS = 1 << 62  # the size of a stream that does not state one
EXPORT = "export it and open it with its password, then take in what comes out as an exhibit of its own"
SECOND = 1_000_000_000
BROKEN = Missing(Reason.UNPARSABLE, "a stretch that holds no header that could be read: members may be lost there")
NO_PATH = Missing(
    Reason.UNPARSABLE,
    "called a symbolic link, but what it holds is no path, and libarchive does not hand it out: unpack it with another "
    "tool and take in what comes out as an exhibit of its own",
)
PATH_MAX = 4096  # bytes of a path with the zero behind it (limits.h of Linux)


class What(StrEnum):
    """What a member is, as far as it is called so: see `rightly`. Only a FILE has content of its own."""

    FILE = "file"
    FOLDER = "folder"
    SYMBOLIC_LINK = "symbolic link"
    HARD_LINK = "hard link"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Header:
    """What an archive states of one member, before its bytes are read.

    `number` counts members in stream order, from 0. `size` is in bytes, None where the archive does not state it;
    `passed` is about how many bytes must be gone through before its content begins. Times are nanoseconds since 1970;
    `times_source` says where they stand and what their zone is. `start` is the
    byte of a zip at which the content begins, where that is to be told. `named`: by the directory of a zip, where there
    is one; else its local header alone was found.
    """

    number: int
    path: bytes
    what: What
    size: int | None
    passed: int = 0
    missing: Missing | None = None
    modified_ns: int | None = None
    accessed_ns: int | None = None
    changed_ns: int | None = None
    born_ns: int | None = None
    times_source: str = ""
    start: int | None = None
    named: bool = True


@dataclass(frozen=True, slots=True)
class Stated:
    """What an archive states of a member that was listed before: its name, its size where it says so, and at which byte
    its content begins, which holds for a zip alone.
    """

    name: bytes
    size: int | None
    start: int | None = None


class Archive(Protocol):
    """One opened archive. Nothing in it touches a file system."""

    notes: dict[str, int]

    def headers(self, first: int) -> Iterator[Header]:
        """Members from number `first` on. Raises Absent where the archive breaks off, after what could be listed."""
        ...

    def chunks(self, number: int) -> Iterator[bytes]:
        """The content of one member. Raises Absent where it cannot be had, or where it was not what was stated."""
        ...

    def stated(self, number: int) -> Stated:
        """What is stated of one member; its content can be had next. Raises Absent where it cannot be reached."""
        ...

    def place(self, number: int) -> ByteSource | None:
        """The content of one member, at any place, where it lies in the archive as it is; not checked."""
        ...

    def close(self) -> None:
        """Lets what it holds go."""
        ...


def rightly(what: What, size: int) -> What:
    """What a member of so many bytes is. Whatever an archive calls it, one that has content is a file; bytes of a
    symbolic link are its target, as long as they can be a path.
    """
    most = PATH_MAX - 1 if what is What.SYMBOLIC_LINK else 0
    return what if size <= most else What.FILE


def is_path(target: bytes) -> bool:
    """Whether a symbolic link may lead there, as far as it is known: up to its first zero."""
    try:
        return len(target) < PATH_MAX and target.decode().isprintable()
    except UnicodeDecodeError:
        return False


def encrypted(what: str) -> Missing:
    """Something is closed by a password."""
    return Missing(Reason.ENCRYPTED, f"{what} is encrypted: {EXPORT}")


def lost(detail: str) -> Absent:
    """Bytes of the archive make no sense at this place."""
    return Absent(Missing(Reason.UNPARSABLE, detail))


def exactly(source: ByteSource, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`. Raises Absent where the source ends before."""
    data = source.read(offset, length)
    while len(data) < length:
        more = source.read(offset + len(data), length - len(data))
        if not more:
            raise Absent(Missing(Reason.UNREADABLE, f"the archive ends at byte {offset + len(data)}: it is cut"))
        data += more
    return data


class TooOften(Absent):
    """Somebody went back too often in a stream that can only be begun anew: nothing is wrong with what is in it."""


class Forward:
    """A ByteSource over a stream that can only be begun anew, which costs all that was gone through: `restarts` times
    at most, where that is not None. `end` is where it ended or broke off, None until that was met; `met`, behind the
    last byte that was ever got.
    """

    def __init__(self, begin: Callable[[], Iterator[bytes]], restarts: int | None = None) -> None:
        self.size = ENDLESS
        self.end: int | None = None
        self.met = 0
        self._allowed = restarts
        self.bad: list[Range] = []
        self._begin, self._stream = begin, begin()
        self._chunk, self._start, self._restarts = b"", 0, 0
        self._failed: Absent | None = None

    @property
    def position(self) -> int:
        """Behind the last byte that was got since it was begun."""
        return self._start + len(self._chunk)

    @property
    def start(self) -> int:
        """From which byte on it can be read without being begun anew."""
        return self._start

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource. Raises Absent where the stream does, and TooOften where it would be begun anew too often."""
        if offset < self._start:
            if self._restarts == self._allowed:
                why = f"compressed data that can only be read from its beginning, which was done {self._allowed} times"
                raise TooOften(Missing(Reason.LIMIT_REACHED, why))
            self._restarts += 1
            self._stream, self._chunk, self._start, self._failed = self._begin(), b"", 0, None
        parts: list[bytes] = []
        while length > 0:
            at = offset - self._start
            if at < len(self._chunk):
                parts.append(self._chunk[at : at + length])
                offset += len(parts[-1])
                length -= len(parts[-1])
                continue
            following = self._next()
            if following is None:
                if self._failed is not None and not parts:  # what came before it is handed out first
                    raise self._failed
                break
            self._start += len(self._chunk)
            self._chunk = following
            self.met = max(self.met, self.position)
        return b"".join(parts)

    def _next(self) -> bytes | None:
        following = None
        if self._failed is None:
            try:
                following = next(self._stream, None)
            except Absent as absent:
                self._failed = absent
        if following is None:
            self.end = self.position
        return following


class Held:
    """Bytes in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)
        self.bad: list[Range] = []
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource."""
        return bytes(self._data[offset : offset + length])


class Slice:
    """A stretch of another ByteSource."""

    def __init__(self, source: ByteSource, start: int, size: int) -> None:
        self._source, self._start = source, start
        self.bad: list[Range] = []
        self.size = max(0, min(size, source.size - start))

    def read(self, offset: int, length: int) -> bytes:
        """As ByteSource."""
        return self._source.read(self._start + offset, max(0, min(length, self.size - offset)))
