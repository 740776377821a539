"""Which files beside a raw image are its further segments: by their names, held against their sizes.

No segment of a raw image bears a number of its own, so a name is all there is. One with leading zeros (.001, .01) is of
a series. Others (.1, .aa) may be of separate disks: they are joined where their sizes fit, and what is not is told of.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from clew.core.errors import Usage
from clew.intake.disk import signatures
from clew.intake.sources._disk import open_read_only, shown

NUMBERED = re.compile(r"(?P<stem>.+)\.(?P<place>\d{1,9})")
LETTERED = re.compile(r"(?P<stem>.+)\.(?P<place>[a-z]{2,4}|[A-Z]{2,4})")
IN_STEM = re.compile(r"(?P<before>.*?)[-_ (]*(?P<number>\d*)\)?(?P<after>\.[^.]*[^.\d][^.]*|)")
ENDS_IN_FULL = "segment at the image's end is as long as the first: others may have followed it"
MOST_NAMED = 5
NEAR = 26  # places: so far from the last of full length its shorter end is looked for
JOIN = "join them in order (`cat`) and take in that"
CUT = "copy it again from where it came; where they are no segments of one image, put each elsewhere"
LOST = f"put all of them into one folder; where one is lost for good, {JOIN}; where they are no segments, rename them"


class Series(NamedTuple):
    """The files of an image, in order, and what is to be noted of them."""

    paths: list[Path]
    notes: list[str]


class Member(NamedTuple):
    """What a name says: the series' stem, how many symbols of what alphabet count its members, and this one's place."""

    stem: str
    width: int
    letters: bool
    place: int

    @property
    def first(self) -> int:
        """The least place at which a series must have begun: .000 may be missing where it begins with .001."""
        return 0 if self.letters else 1


def series(path: Path) -> Series:
    """The image at `path` with its segments, of which it may be any. Raises Usage where one is missing or cut."""
    there = _regular(path.parent) if path.is_file() else {}
    member, found = _series(path.name, there)
    if member is None:
        return Series([path], _neighbours(path, there))
    padded = any(name.rpartition(".")[2].startswith("0") for name in found.values()) and member.width > 1
    members = {place: there[name] for place, name in found.items()}
    if padded and not member.letters:
        paths = _whole(path, members, member)
    else:
        fitting = _fitting(members, member)
        paths = _whole(path, fitting, member) if member.place in fitting else [path]
    notes = [ENDS_IN_FULL] if (len(paths) > 1 or member.place <= member.first) and _full(paths) else []
    if len(paths) > 1:
        return Series(paths, [*notes, f"joined from {len(paths):,} files, in this order: {named(paths)}"])
    others = [each for place, each in sorted(members.items()) if place != member.place]
    notes += [_beside(others)] if others and _alike(path, others) else _neighbours(path, there)
    if not others and member.first < member.place < 100:
        notes.append("its name ends as that of a later segment does: what may belong before it is not here")
    return Series(paths, notes)


def _series(name: str, there: Mapping[str, Path]) -> tuple[Member | None, dict[int, str]]:
    """What the name of a file makes it a member of, if of anything, and the names of all of them by place."""
    numbered, lettered = NUMBERED.fullmatch(name), LETTERED.fullmatch(name)
    if numbered is not None:
        stem, place = numbered["stem"], numbered["place"]
        for width in range(1 if place[0] != "0" else len(place), len(place) + 1):
            found = _places(there, stem, width, r"\d")
            mine = [number for number, each in found.items() if each == name]
            if mine and (width == len(place) or min(found) <= 1):
                return Member(stem, width, False, mine[0]), found
    if lettered is not None:
        stem, place = lettered["stem"], lettered["place"]
        for width in range(2, len(place) + 1):
            found = _places(there, stem, width, "[A-Z]" if place.isupper() else "[a-z]")
            mine = [number for number, each in found.items() if each == name]
            if mine and (0 in found or (len(place) == width == 2 and place[0] in "aA")):
                return Member(stem, width, True, mine[0]), found
    return None, {}


def _places(there: Mapping[str, Path], stem: str, width: int, symbol: str) -> dict[int, str]:
    """The files of a series by their places. Of more symbols than `width` are those behind .999, which are .1000 and so
    on; and those of `split`, which behind .89 goes on with .9000, and behind .yz with .zaaa.
    """
    base, top = (10, "9") if symbol == r"\d" else (26, "z")
    named = re.compile(rf"{re.escape(stem)}\.({symbol}{{{width},9}})")
    symbols = {m[1].lower(): name for name in there if (m := named.fullmatch(name))}
    found = {_value(each, base): name for each, name in symbols.items() if len(each) == width}
    last = (base - 1) * base ** (width - 1)  # the first place whose name begins with the last symbol
    if last - 1 in found and last not in found:
        grown = {each: name for each, name in symbols.items() if len(each) == width + 2 and each[0] == top}
        return found | {last + _value(each[1:], base): name for each, name in grown.items()}
    if base == 26:
        return found
    more = {int(each): name for each, name in symbols.items() if each[0] != "0" and len(each) > width}
    return found | more if not (found | more).keys().isdisjoint((10**width - 1, 10**width)) else found


def _value(symbols: str, base: int) -> int:
    value = 0
    for each in symbols:
        value = value * base + (int(each) if base == 10 else ord(each) - ord("a"))
    return value


def _whole(path: Path, members: Mapping[int, Path], member: Member) -> list[Path]:
    """All of a series. Raises Usage where the first or one between is missing, and where one is cut."""
    begins = min(members)
    lost = [each for each in range(min(begins, member.first), max(members) + 1) if each not in members]
    if lost:
        named = ", ".join(_named(each, member) for each in lost[:10]) + (", ..." if len(lost) > 10 else "")
        raise Usage(f"segments of {path.name} are missing: {named}", LOST)
    paths = [members[each] for each in sorted(members)]
    _uncut(paths)
    return paths


def _named(place: int, member: Member) -> str:
    if not member.letters:
        return f"{place:0{member.width}}"
    digits = ""
    while len(digits) < member.width:
        place, digit = divmod(place, 26)
        digits = chr(ord("a") + digit) + digits
    return digits


def _uncut(paths: list[Path]) -> None:
    """Raises Usage where not all but the last have the size of the first: all behind a cut one would lie elsewhere than
    on the disk. That the last one is whole nothing shows here: the partition table and the file systems say it.
    """
    size = paths[0].stat().st_size
    for each in paths[1:]:
        other = each.stat().st_size
        if other > size or (other < size and each != paths[-1]):
            shorter, longer = sorted((each, paths[0]), key=lambda path: path.stat().st_size)
            raise Usage(f"{shorter.name} is {abs(other - size):,} bytes shorter than {longer.name}: it is cut", CUT)


def _fitting(members: Mapping[int, Path], member: Member) -> dict[int, Path]:
    """Those that may be segments of one image, though their names prove little: they reach from the first one to the
    last of its size, and a shorter one behind. Of numbers none does where one of them begins as a disk does; where a
    shorter one ends several, where all do, since a partition may begin where a segment does.
    """
    sizes = {place: each.stat().st_size for place, each in sorted(members.items())}
    last = min(sizes)
    full = sizes[last]
    for place, size in sizes.items():
        last = place if size == full and place <= last + NEAR else last
    last = next((place for place, size in sizes.items() if last < place <= last + NEAR and size < full), last)
    found = {place: each for place, each in members.items() if place <= last and min(sizes) <= NEAR}
    begin = [_begins(each) for place, each in sorted(found.items())[1:]] if not member.letters else []
    own = all(begin) if len(begin) > 1 and sizes[last] < full else any(begin)
    return {} if own or len(found) < 2 else found


def _begins(path: Path) -> bool:
    """Whether a disk or a volume begins there: by the signature of a boot sector, a GPT, ext, HFS+, a disc, or of what
    fills a disk without a partition table as well: encryption, LVM, APFS and others.
    """
    descriptor = open_read_only(path)
    try:
        head = os.pread(descriptor, signatures.LOOK, 0)
    finally:
        os.close(descriptor)
    signed = head[510:512] == b"\x55\xaa" or head[512:520] == b"EFI PART"
    known = head[1080:1082] == b"\x53\xef" or head[1024:1026] in {b"H+", b"HX"} or signatures.iso9660(head)
    return signed or known or signatures.signature(head) is not None


def _full(paths: list[Path]) -> bool:
    """Whether no shorter segment ends a series: its disk fills all of them, or some are lost."""
    return paths[0].stat().st_size == paths[-1].stat().st_size


def _neighbours(path: Path, there: Mapping[str, Path]) -> list[str]:
    """What is to be said of files whose names differ in a number before the ending: of separate disks as a rule."""
    match = IN_STEM.fullmatch(path.name)
    if match is None or not (match["before"] or match["number"]):
        return []
    like = re.compile(rf"{re.escape(match['before'])}[-_ (]*(\d*)\)?{re.escape(match['after'])}")
    found = [
        (int(m[1] or 0), each) for name, each in there.items() if (m := like.fullmatch(name)) and name != path.name
    ]
    stem = path.name[:-2]
    if not match["after"] and stem and f"{stem}aa" in there:  # as `split` names them where it is given no dot
        found += [(0, there[name]) for name in there if re.fullmatch(rf"{re.escape(stem)}[a-z]{{2}}", name)]
    others = [each for _, each in sorted(found) if each.name != path.name]
    return [_beside(others)] if others and _alike(path, others) else []


def _alike(path: Path, others: list[Path]) -> bool:
    """Whether they may be segments of one image: all of one size, but for one that is shorter."""
    sizes = sorted(each.stat().st_size for each in (path, *others))
    return path.stat().st_size in {each.stat().st_size for each in others} or len(set(sizes[1:])) == 1


def _beside(others: list[Path]) -> str:
    return f"beside it lie {named(others)}: not read; if they are its further segments, {JOIN}"


def named(paths: list[Path]) -> str:
    told = [f"{shown(each)} ({each.stat().st_size:,} bytes)" for each in paths[:MOST_NAMED]]
    return ", ".join(told) + (f" and {len(paths) - MOST_NAMED:,} more" if len(paths) > MOST_NAMED else "")


def _regular(folder: Path) -> dict[str, Path]:
    """The files there; none where it cannot be listed, of which `_later` tells."""
    try:
        with os.scandir(folder) as entries:
            return {each.name: folder / each.name for each in entries if each.is_file()}
    except OSError:
        return {}
