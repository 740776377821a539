"""A file in two or more fragments, the second one further on in free space: joined where the format can prove it.

After Garfinkel, "Carving contiguous and fragmented files with fast object validation" (Digital Investigation 4S, 2007):
the fault is found by validating, the gap by trying. Fragments begin at a cluster. PNG chunks and ZIP members are joined
by their checksums, JPEG by a decode without any complaint. What no check can decide (the inside of a film) is not
joined: a false join would be a false attribution.
"""

import re
import zlib
from collections.abc import Callable, Iterator

from clew.intake.carving import jpeg, png, ziparchive
from clew.intake.carving.view import Verdict, View

GAP = 8 << 20  # bytes behind the fault that are searched for the next fragment
MOST_JOINS = 16
MOST_SPAN = 1 << 20  # bytes of a chunk or member with a fault inside
MOST_TRIES = 2_000
MOST_DECODES = 24
_BACK = 3  # clusters before the fault where a JPEG may have broken: the next file's bytes pass for its own for a while
_BACK_CHUNKS = 16  # clusters before the fault of a PNG: the picture data of another may unpack for a while
_CHUNKS = re.compile(rb"IDAT|IEND|tEXt|tIME|zTXt|iTXt|eXIf|fdAT|fcTL")
_RECORDS = re.compile(rb"PK\x03\x04|PK\x01\x02")
_NOT_ENTROPY = re.compile(rb"\xff[^\x00\xd0-\xd7\xff\xd9]", re.DOTALL)

Check = Callable[[View], Verdict | None]


def join(kind: str, check: Check, view: View, verdict: Verdict, step: int) -> tuple[View, Verdict]:
    """The view without the gaps that could be found, and its verdict; the same ones where there was none to find.

    A gap begins and ends at a multiple of `step` bytes from the candidate on.
    """
    fixer = _FIXERS.get(kind)
    for _ in range(MOST_JOINS):
        if fixer is None or not verdict.why:
            break
        for joined in fixer(view, verdict, step):
            better = check(joined)
            if better is not None and (not better.why or (better.proved and better.sure > verdict.sure)):
                view, verdict = joined, better
                break
        else:
            break
    return view, verdict


def _without(view: View, at: int, shift: int) -> View:
    """The view without `shift` bytes from `at` on."""
    return View(view.source, view.within(0, at) + view.within(at + shift, view.size), gap=True)


def _breaks(start: int, end: int, step: int) -> range:
    """Cluster boundaries behind `start`, up to `end`."""
    return range(-(-(start + 1) // step) * step, end + 1, step)


def _png(view: View, verdict: Verdict, step: int) -> Iterator[View]:
    at = verdict.sure
    length = png.header(view, at)[0]
    if length is None or verdict.broken == (at, at):
        yield from _between_chunks(view, at, step)
        return
    end = at + 12 + length
    if length > MOST_SPAN:
        return
    head, tries = view.read(at + 4, 8 + length), 0
    for shift in _shifts(view, _CHUNKS, end, 4, step):
        tail = view.read(at + 4 + shift, 8 + length)
        said = int.from_bytes(tail[-4:], "big")
        for place in _breaks(at, end, step):
            cut = min(max(place - at - 4, 0), 4 + length)
            tries += 1
            if tries > MOST_TRIES:
                return
            if len(tail) == 8 + length and zlib.crc32(tail[cut:-4], zlib.crc32(head[:cut])) == said:
                yield _without(view, place, shift)


def _between_chunks(view: View, at: int, step: int) -> Iterator[View]:
    """Broken where one chunk ends and another begins, at `at` or some clusters before: every checksum may be right, so
    that a join must make the picture whole.
    """
    tries = 0
    for place in range(at // step * step, max(at - _BACK_CHUNKS * step, 0), -step):
        if place != at and png.header(view, place)[0] is None:
            continue
        for shift in _shifts(view, _CHUNKS, place, 4, step):
            length = png.header(view, place + shift)[0]
            if length is None or length > MOST_SPAN or not _crc(view, place + shift, length):
                continue
            joined = _without(view, place, shift)
            whole = png.check(joined)
            tries += 1
            if whole is not None and not whole.why:
                yield joined
            if tries > MOST_TRIES // 4:
                return


def _crc(view: View, at: int, length: int) -> bool:
    data = view.read(at + 4, 8 + length)
    return zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big")


def _zip(view: View, verdict: Verdict, step: int) -> Iterator[View]:
    if verdict.broken is None or verdict.broken[1] - verdict.broken[0] > MOST_SPAN:
        return
    start, end = verdict.broken
    tries = 0
    for shift in _shifts(view, _RECORDS, end, 0, step):
        for place in _breaks(start, end, step):
            tries += 1
            if tries > MOST_TRIES // 4:
                return
            joined = _without(view, place, shift)
            if ziparchive.member_is_right(joined, verdict.sure):
                yield joined


def _shifts(view: View, pattern: re.Pattern[bytes], at: int, before: int, step: int) -> Iterator[int]:
    """How many bytes may have to be left out for a header (whose name stands `before` bytes in) to stand at `at`."""
    for found in pattern.finditer(view.read(at, GAP)):
        shift = found.start() - before
        if shift > 0 and shift % step == 0:
            yield shift


def _jpeg(view: View, verdict: Verdict, step: int) -> Iterator[View]:
    """Every cluster that may hold picture data, behind each of the last boundaries before the fault."""
    if view.gap or verdict.sure or verdict.why == jpeg.UNDECODED:
        return
    fault, decodes = verdict.length, 0
    last = fault // step * step
    for place in range(last, max(last - _BACK * step, 0), -step):
        for at in range(place + step, min(place + GAP // 8, view.size), step):
            data = view.read(at, step)
            found = _NOT_ENTROPY.search(data)
            if not any(data) or (found is not None and b"\xff\xd9" not in data[: found.start()]):
                continue
            decodes += 1
            if decodes > MOST_DECODES:
                return
            yield _without(view, place, at - place)


_FIXERS: dict[str, Callable[[View, Verdict, int], Iterator[View]]] = {"png": _png, "zip": _zip, "jpeg": _jpeg}
