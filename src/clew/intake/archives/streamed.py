"""Archives read by libarchive, member after member: 7z, rar, tar, cpio, ar, cab, lha, and compression around them.

libarchive is driven through ctypes. Its callbacks are made once, at import: a locked worker gets no executable memory.
Which archive a callback is for stands in its client data. Names come out as the raw bytes that the archive holds,
or as UTF-8 where the format itself keeps Unicode (7z, rar, cab); workers run in C.UTF-8.
"""

import contextlib
import ctypes
import itertools
import stat
from collections.abc import Iterator
from typing import Any

from libarchive import ffi

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.archives import ends, tarheads
from clew.intake.archives.kinds import BLOCK, Kind
from clew.intake.archives.members import BROKEN, CHUNK, NO_PATH, SECOND, Header, Stated, What, encrypted, is_path, lost
from clew.model import Missing, Reason

# Codes of archive_read_append_filter (archive.h). "compress" has none: so appended, libarchive 3.6.2 ends in a
# segmentation fault, as that filter reads its first bytes before there are any; it finds its own beginning instead.
_FILTERS = {"gzip": 1, "bzip2": 2, "lzma": 5, "xz": 6, "lzip": 9, "lz4": 13, "zstd": 14}
_AE_IFDIR, _AE_IFLNK, _AE_IFREG = stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG
_ENCRYPTED_WORDS = (b"ncrypt", b"Crypto codec", b"assphrase", b"assword")
_SEEK_SET, _SEEK_CUR = 0, 1
_EOF, _OK, _RETRY, _WARN, _FATAL = 1, 0, -10, -20, -30  # return codes (archive.h)
_MOST_RETRIES = 1 << 24  # blocks of a tar that are no headers: 8 GiB

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of libarchive by its name, with a prototype of our own: return codes are looked at here."""
    return ctypes.CFUNCTYPE(result, *arguments)((f"archive_{name}", ffi.libarchive))


_new = _function("read_new", _POINTER)
_free = _function("read_free", _INT, _POINTER)
_append_filter = _function("read_append_filter", _INT, _POINTER, _INT)
_support_compress = _function("read_support_filter_compress", _INT, _POINTER)
_set_read = _function("read_set_read_callback", _INT, _POINTER, ffi.READ_CALLBACK)
_set_seek = _function("read_set_seek_callback", _INT, _POINTER, ffi.SEEK_CALLBACK)
_set_data = _function("read_set_callback_data", _INT, _POINTER, _POINTER)
_open = _function("read_open1", _INT, _POINTER)
_next = _function("read_next_header", _INT, _POINTER, ctypes.POINTER(_POINTER))
_data_block = _function(
    "read_data_block", _INT, _POINTER, ctypes.POINTER(_POINTER), ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(_LONG)
)
_why = _function("error_string", ctypes.c_char_p, _POINTER)
_has_encrypted = _function("read_has_encrypted_entries", _INT, _POINTER)
_filter_bytes = _function("filter_bytes", _LONG, _POINTER, _INT)
_format_code = _function("format", _INT, _POINTER)
_pathname = _function("entry_pathname", ctypes.c_char_p, _POINTER)
_filetype = _function("entry_filetype", ctypes.c_uint, _POINTER)
_hardlink = _function("entry_hardlink", ctypes.c_char_p, _POINTER)
_symlink = _function("entry_symlink", ctypes.c_char_p, _POINTER)
_size = _function("entry_size", _LONG, _POINTER)
_size_is_set = _function("entry_size_is_set", _INT, _POINTER)
_is_encrypted = _function("entry_is_encrypted", _INT, _POINTER)
_FORMATS = {
    name: _function(f"read_support_format_{name}", _INT, _POINTER)
    for name in ("7zip", "ar", "cab", "cpio", "empty", "lha", "rar", "rar5", "raw", "tar", "zip_streamable")
}
_TIMES = {
    name: tuple(_function(f"entry_{name}{what}", kind, _POINTER)
                for what, kind in (("_is_set", _INT), ("", ctypes.c_int64), ("_nsec", ctypes.c_long)))
    for name in ("mtime", "atime", "ctime", "birthtime")
}  # fmt: skip
_CPIO, _TAR, _RAW, _LHA, _SEVEN_ZIP = 0x10000, 0x30000, 0x90000, 0xB0000, 0xE0000  # ARCHIVE_FORMAT_... (archive.h)
_LAST_OF_CPIO = b"TRAILER!!!"  # the name of its last entry, which libarchive leaves unread
_BASE = 0xFF0000  # ARCHIVE_FORMAT_BASE_MASK
_TIMES_OF = {
    0x10000: "cpio header, UTC",
    0x30000: "tar header, UTC",
    0x50000: "zip local header",
    0x70000: "ar header, UTC",
    0xB0000: "lha header",
    0xC0000: "cab header, local time without zone",
    0xD0000: "rar header",
    0xE0000: "7z header, UTC",
    0x100000: "rar 5 header, UTC",
}


class _Feed:
    """What a libarchive handle reads from: a source and a place in it. `failure` is what a callback could not say."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.at = 0
        self.held = ctypes.c_char_p(b"")
        self.data = self.last = b""  # bytes that were handed out, and the end of the last that there were
        self.over = False  # there were no more
        self.failure: Absent | OSError | MemoryError | None = None

    def read(self, target: Any) -> int:
        """Points `target` at the next bytes; they stay until the next call."""
        try:
            data = self.source.read(self.at, CHUNK)
        except (Absent, OSError, MemoryError) as error:
            self.failure = error
            return _FATAL
        self.at += len(data)
        self.data, self.last, self.over = data, data[-BLOCK:] or self.last, not data
        self.held = ctypes.c_char_p(data)
        target[0] = ctypes.cast(self.held, _POINTER).value
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        """Goes to a place, never beyond either end."""
        base = 0 if whence == _SEEK_SET else self.at if whence == _SEEK_CUR else self.source.size
        self.at = max(0, min(self.source.size, base + offset))
        return self.at


_feeds: dict[int, _Feed] = {}
_numbers = itertools.count(1)
_read_callback = ffi.READ_CALLBACK(lambda _archive, key, target: _feeds[key].read(target))
_seek_callback = ffi.SEEK_CALLBACK(lambda _archive, key, offset, whence: _feeds[key].seek(offset, whence))


class Streamed:
    """One archive behind libarchive. It goes forward alone; asked for what lies behind, it begins again."""

    def __init__(self, source: ByteSource, kind: Kind, stem: bytes, seekable: bool = True) -> None:
        self.notes: dict[str, int] = {}
        self._source, self._kind, self._stem, self._seekable = source, kind, stem, seekable
        self._key, self._entry = next(_numbers), _POINTER()
        self._handle: int | None = None
        self._at = -1  # number of the member whose header was read last
        self._fresh = False  # whether that member's content was not begun yet
        self._ended = self._empty = self._is_open = False
        self._skipped = False  # some member's content was not unpacked on the way here
        self._broken = False  # the member in hand stands for a place where no header could be read
        self._ahead: int | None = None  # what libarchive said of the header behind that place
        self._wall: tuple[int, Absent] | None = None  # no member from this number on can be reached, and why

    def headers(self, first: int) -> Iterator[Header]:
        """Members from `first` on, as libarchive meets them. What lies behind the archive is noted."""
        if self._handle is None or self._ended or self._at >= first:
            self._begin()
        try:
            while self._step():
                if self._at >= first:
                    yield self._header()
        except Absent:
            with contextlib.suppress(Absent):  # why it broke off says more
                self._note_behind()
            raise
        self._note_behind()

    def chunks(self, number: int) -> Iterator[bytes]:
        """The content of one member; members before it are passed over."""
        self._reach(number)
        self._fresh = False
        if self._broken:
            raise Absent(BROKEN)
        doubt = self._doubt()
        if not self._empty:
            yield from self._blocks()
        if doubt is not None:
            raise Absent(doubt)

    def _doubt(self) -> Missing | None:
        """What the header of a tar says beyond libarchive, of the member in hand, whose content was not begun."""
        if _format_code(self._handle) & _BASE != _TAR:
            return None
        feed = _feeds[self._key]
        end = _filter_bytes(self._handle, 0) - (feed.at - len(feed.data))
        return tarheads.doubt(feed.data[end - BLOCK : end], _size(self._entry)) if end >= BLOCK else None

    def stated(self, number: int) -> Stated:
        """As Archive."""
        self._reach(number)
        if self._broken or self._empty:
            return Stated(self._stem if self._empty else b"", None)
        size = max(0, _size(self._entry)) if _size_is_set(self._entry) else None
        return Stated(_pathname(self._entry) or b"", size, max(0, _filter_bytes(self._handle, 0)))

    def _reach(self, number: int) -> None:
        """To the header of one member, with its content still to come."""
        if self._wall is not None and number >= self._wall[0]:
            raise self._wall[1]
        passed = self._at > number or (self._at == number and not self._fresh)
        if self._handle is None or self._ended or passed or (self._kind.solid and self._skipped):
            self._begin()
        while self._at < number:
            if self._kind.solid and self._fresh:
                self._unpack()
            if not self._step():
                raise lost(f"the archive ends before its member {number}")

    def _unpack(self) -> None:
        """Goes past the member in hand by unpacking it: where libarchive 3.6 skips one of whole 64 KiB in a 7z, it does
        not find the next.
        """
        self._fresh = False
        try:
            for _ in self._blocks():
                pass
        except Absent:
            if self._ended:
                raise

    def _blocks(self) -> Iterator[bytes]:
        """The blocks of the member in hand; what lies between them is a hole, which reads as zeros."""
        block, length, offset, at = _POINTER(), ctypes.c_size_t(), _LONG(), 0
        while True:
            length.value = 0
            code = _data_block(self._handle, ctypes.byref(block), ctypes.byref(length), ctypes.byref(offset))
            if code == _EOF:
                break
            if code < _OK and not (code == _WARN and length.value):
                raise self._failed("its content", code, self._at + 1)
            if offset.value < at:
                raise lost("its blocks overlap each other")
            while at < offset.value:
                hole = min(CHUNK, offset.value - at)
                at += hole
                yield bytes(hole)
            if length.value:
                at += length.value
                yield ctypes.string_at(block.value or 0, length.value)
            if code == _WARN:  # a wrong checksum of 7z comes with the last block
                raise self._failed("its content", code, self._at + 1)
        stated = _size(self._entry) if _size_is_set(self._entry) else at
        if at < stated and _format_code(self._handle) & _BASE != _TAR:
            raise lost(f"its data are {at} bytes, where the archive states {stated}")
        while at < stated:  # a sparse file of tar that ends in a hole
            yield bytes(min(CHUNK, stated - at))
            at += min(CHUNK, stated - at)

    @property
    def empty(self) -> bool:
        """Whether libarchive found nothing in a compressed stream, be it that it could not unpack it."""
        return self._empty

    @property
    def passed(self) -> int:
        """How many bytes of the source libarchive has gone through."""
        return max(0, int(_filter_bytes(self._handle, -1)))

    def place(self, _number: int) -> ByteSource | None:
        """As Archive: libarchive does not say."""
        return None

    def close(self) -> None:
        """Frees the handle."""
        if self._handle is not None:
            _free(self._handle)
            self._handle = None
        _feeds.pop(self._key, None)

    def _begin(self) -> None:
        self.close()
        self._at = -1
        self._fresh = self._ended = self._empty = self._is_open = self._skipped = self._broken = False
        self._ahead = None
        _feeds[self._key] = _Feed(self._source)
        self._handle = handle = _new()
        if not handle:
            raise MemoryError
        for name in self._kind.formats:
            _FORMATS[name](handle)
        if self._kind.filter in _FILTERS:
            self._check(_append_filter(handle, _FILTERS[self._kind.filter]))
        elif self._kind.single:
            self._check(_support_compress(handle))
        _set_read(handle, _read_callback)
        if self._seekable:
            _set_seek(handle, _seek_callback)
        _set_data(handle, self._key)
        self._check(_open(handle))
        self._is_open = True

    def _check(self, code: int) -> None:
        if code < _WARN:
            raise self._failed("the archive", code)

    def _step(self) -> bool:
        """To the next header. False at the end."""
        if self._ended:
            return False
        code = self._next_header()
        if code == _EOF:
            self._ended = True
            if self._at < 0 and self._kind.single:  # compression around nothing holds one empty file
                self._at, self._fresh, self._empty = 0, True, True
                return True
            self._look_behind(_feeds[self._key], _format_code(self._handle) & _BASE)
            return False
        if code < _WARN:
            self._at += 1
            raise self._failed("what follows" if self._at else "the archive", _FATAL)
        self._at, self._fresh, self._skipped = self._at + 1, True, self._skipped or self._fresh
        return True

    def _next_header(self) -> int:
        """As libarchive's; all that it cannot read as headers in a row is one member, `_broken`."""
        if self._broken and self._ahead is not None:
            code, self._broken, self._ahead = self._ahead, False, None
            return code
        code = int(_next(self._handle, ctypes.byref(self._entry)))
        self._broken = code == _RETRY
        for _ in range(_MOST_RETRIES if self._broken else 0):
            self._ahead = int(_next(self._handle, ctypes.byref(self._entry)))
            if self._ahead != _RETRY:
                return _OK
        return _FATAL if self._broken else code

    def _look_behind(self, feed: _Feed, code: int) -> None:
        """A tar or cpio archive has a mark of its end, and what lies behind it is not looked at by libarchive: raises
        Absent where that is more than zeros, such as another archive, and where a tar has no such mark.
        """
        if code not in {_CPIO, _TAR}:
            return
        if code == _TAR and feed.over and any(feed.last):
            raise lost("a tar that ends without the mark of its end: it may be cut")
        read = max(0, _filter_bytes(self._handle, 0) - (feed.at - len(feed.data)))
        rest = feed.data[read:].removeprefix(_LAST_OF_CPIO if code == _CPIO else b"")
        while not rest.strip(b"\0"):
            if feed.over:
                return
            if feed.read([None]) == _FATAL:
                raise self._reason("what follows its end")
            rest = feed.data
        raise lost("bytes follow the mark of its end that were not read: another archive may lie there")

    def _note_behind(self) -> None:
        end = ends.of_archive(self._source, self._kind.name)
        if end is None and self._wall is None and _format_code(self._handle) & _BASE == _LHA:
            end = self.passed  # at the zero that marks its end
        if end is not None and ends.anything_behind(self._source, end):
            self.notes[f"{self._kind.name} archives with bytes behind their end"] = 1

    def _failed(self, what: str, code: int, wall: int | None = None) -> Absent:
        """Why libarchive, or the source behind it, gave up; after a fatal error nothing from `wall` on is tried."""
        reason = self._reason(what)
        if code == _FATAL:
            self._ended, self._wall = True, (self._at if wall is None else wall, reason)
        return reason

    def _reason(self, what: str) -> Absent:
        failure = _feeds[self._key].failure
        if isinstance(failure, Absent):
            return failure
        if isinstance(failure, MemoryError):
            return Absent(Missing(Reason.LIMIT_REACHED, "memory"))
        if failure is not None:
            return Absent(Missing(Reason.UNREADABLE, f"read error in the archive: {failure.strerror}"))
        words = _why(self._handle) or b""
        if any(word in words for word in _ENCRYPTED_WORDS) or self._has_encrypted():
            return Absent(encrypted(what))
        return lost(f"{what} could not be read as {self._kind.name}: {words.decode('utf-8', 'replace') or 'no reason'}")

    def _has_encrypted(self) -> bool:
        """Whether libarchive met something encrypted before the first member; asked before it knows the format, it
        ends in a segmentation fault.
        """
        return self._is_open and self._at <= 0 and _has_encrypted(self._handle) > 0

    def _header(self) -> Header:
        if self._broken:
            return Header(self._at, b"", What.FILE, 0, missing=BROKEN)
        if self._empty:
            return Header(self._at, self._stem, What.FILE, 0)
        entry, code = self._entry, _format_code(self._handle) & _BASE
        passed = max(0, _filter_bytes(self._handle, 0))
        if code == _RAW:
            return Header(self._at, self._stem, What.FILE, None, passed)
        path = _pathname(entry)
        if path is None:
            path, note = b"", "member names that could not be converted"
            self.notes[note] = 1 + self.notes.get(note, 0)
        closed = encrypted("this member") if _is_encrypted(entry) > 0 else None
        what, modified, accessed, changed, born = _what(entry), *(_time(entry, name) for name in _TIMES)
        if code == _SEVEN_ZIP and what is What.SYMBOLIC_LINK and not is_path(_symlink(entry) or b""):
            what, closed = What.FILE, NO_PATH
        return Header(
            self._at,
            path,
            what,
            max(0, _size(entry)) if _size_is_set(entry) else None,
            passed,
            closed,
            modified,
            accessed,
            changed,
            born,
            _TIMES_OF.get(code, "") if modified is not None else "",
        )


def _what(entry: Any) -> What:
    kind = _filetype(entry)
    if _hardlink(entry) is not None:
        return What.HARD_LINK
    kinds = {0: What.FILE, _AE_IFREG: What.FILE, _AE_IFDIR: What.FOLDER, _AE_IFLNK: What.SYMBOLIC_LINK}
    return kinds.get(kind, What.DEVICE)


def _time(entry: Any, name: str) -> int | None:
    is_set, seconds, part = _TIMES[name]
    if not is_set(entry):
        return None
    value = int(seconds(entry)) * SECOND + int(part(entry))
    return value if 0 <= value < 1 << 63 else None
