"""How an Item is named so that it can be reopened: one line of printable ASCII, and an id made of it.

On a disk a ref begins with the volume that holds it: "fs@OFFSET" is the file system at that byte of the image,
"apfs@OFFSET.N" a volume of the APFS container there, "iso@OFFSET.N" the tree of the disc there whose descriptor lies in
its sector N; where a logical volume of LVM lies between, "lv@OFFSET.N/" stands before it, and the offset counts from
that volume's beginning. File record, stream and path follow. What was carved is "carved@OFFSET-BYTES,OFFSET-BYTES...",
behind such an "lv@OFFSET.N/" where it lies in a logical volume.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

MEMBER = "!"  # stands before each member's path in the ref of what lies in an archive, and nowhere else in a ref
_ODD = re.compile(rb'[^"-$&-~]')  # all but printable ASCII, of which not "%" and "!" either
_NUMBER = "[0-9]{1,19}"
_DIGITS = re.compile("([0-9]+)")
_INSIDE = f"fs@{_NUMBER}|apfs@{_NUMBER}\\.[0-9]{{1,3}}|iso@{_NUMBER}\\.{_NUMBER}"
VOLUME = f"(?:lv@{_NUMBER}\\.[0-9]{{1,4}}/)?(?:{_INSIDE})"
_STREAM = re.compile(
    rf"(?:lv@({_NUMBER})\.([0-9]{{1,4}})/)?"
    rf"(?:fs@({_NUMBER})|apfs@({_NUMBER})\.([0-9]{{1,3}})|iso@({_NUMBER})\.({_NUMBER}))"
    rf"/({_NUMBER})/(?:([0-9]+)-([0-9]+)|name)/"
)

_CARVED = re.compile(rf"(?:lv@({_NUMBER})\.([0-9]{{1,4}})/)?carved@({_NUMBER}-{_NUMBER}(?:,{_NUMBER}-{_NUMBER})*)")


def quote(raw: bytes) -> str:
    """Raw bytes as printable ASCII: anything else, blanks, "%" and "!" become %XX."""
    return _ODD.sub(_escaped, raw).decode("ascii")


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def unquote(text: str) -> bytes:
    """What `quote` was given. Raises ValueError for what `quote` does not make."""
    if "%" not in text:
        return text.encode("ascii")
    first, *rest = text.split("%")
    return first.encode("ascii") + b"".join(bytes.fromhex(part[:2]) + part[2:].encode("ascii") for part in rest)


def item_id(exhibit: str, ref: str) -> str:
    """The Item's id: the same for the same place of the same Exhibit, so that a resumed run cannot list it twice."""
    return hashlib.sha256(f"{exhibit}\n{ref}".encode()).hexdigest()[:32]


def volume(place: Mapping[str, Any]) -> str:
    """The beginning of a ref for "offset", with "lv" ([offset, number]), "apfs" (number) and "iso" (sector) where there
    are such.
    """
    lv, apfs, iso = place.get("lv"), place.get("apfs"), place.get("iso")
    above = f"lv@{lv[0]}.{lv[1]}/" if lv else ""
    if iso is not None:
        return f"{above}iso@{place['offset']}.{iso}"
    return f"{above}fs@{place['offset']}" if apfs is None else f"{above}apfs@{place['offset']}.{apfs}"


def layer(place: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a volume from the image itself: the keys of `volume` but for "offset"."""
    return {key: place[key] for key in ("lv", "apfs", "iso") if key in place}


def place_of(place: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker needs to find the volume that a part's detail, or a ref, speaks of."""
    return {"offset": place["offset"], **layer(place)}


def carved(place: Mapping[str, Any], runs: Sequence[tuple[int, int]]) -> str:
    """The ref of what was carved out of `runs` (offset, bytes), in the volume "lv" of `place` where it has one."""
    lv = place.get("lv")
    return (f"lv@{lv[0]}.{lv[1]}/" if lv else "") + "carved@" + ",".join(f"{at}-{length}" for at, length in runs)


def parse_carved(ref: str) -> dict[str, Any] | None:
    """What `carved` was given, as "runs" and "lv"; None for any other ref."""
    match = _CARVED.fullmatch(ref)
    if match is None:
        return None
    above, number, runs = match.groups()
    found: dict[str, Any] = {"runs": [[int(part) for part in run.split("-")] for run in runs.split(",")]}
    return found if above is None else found | {"lv": [int(above), int(number)]}


def parse(ref: str) -> dict[str, Any] | None:
    """What `volume` was given, with "record", and "type" and "id" of the stream where it has one; None for any other
    ref.
    """
    match = _STREAM.match(ref)
    if match is None:
        return None
    above, number, plain, apfs, inside, iso, sector, record, kind, identifier = match.groups()
    found: dict[str, Any] = {"offset": int(plain or apfs or iso), "record": int(record)}
    if above is not None:
        found["lv"] = [int(above), int(number)]
    if inside is not None:
        found["apfs"] = int(inside)
    if sector is not None:
        found["iso"] = int(sector)
    if kind is not None:
        found |= {"type": int(kind), "id": int(identifier)}
    return found


def member_ref(archive: str, path: bytes, number: int, start: int | None = None) -> str:
    """The ref of a member: its archive's, its path, and its number there, as names may occur twice. `start` is the byte
    of a zip at which its content begins, where it was listed by its local headers or again: directory and local headers
    may have different orders.
    """
    return f"{archive}{MEMBER}{quote(path)}#{number}" + ("" if start is None else f"@{start}")


def chain_of(ref: str) -> tuple[list[str], list[int]]:
    """The refs of the archives that an Item lies in, outermost first, and each one's number of what is next on the
    way; nothing for what lies in none.
    """
    first, *steps = ref.split(MEMBER)
    around = [first]
    for step in steps:
        around.append(f"{around[-1]}{MEMBER}{step}")
    return around[:-1], [int(_numbered(step)[1]) for step in steps]


def order(ref: str) -> tuple[Any, ...]:
    """A key to sort refs by, so that reading goes onward: by number where they have numbers, which is about as they lie
    on a disk; members of archives as intake's rounds reach them, so that a solid one is gone through once a depth.
    """
    first, numbers = ref.partition(MEMBER)[0], chain_of(ref)[1]
    # a name may be one number of any length: compared by its length, then by its digits
    parts = [(len(part), part) if at % 2 else part for at, part in enumerate(_DIGITS.split(first))]
    return parts, len(numbers), numbers


def starts_of(ref: str) -> list[int | None]:
    """At which byte of each archive on the way the content of what is next begins, where its ref says so."""
    starts = [_numbered(step)[2] for step in ref.split(MEMBER)[1:]]
    return [int(start) if start else None for start in starts]


def unnumbered(ref: str) -> str | None:
    """The ref of a member without its number; None where it does not say where its content begins."""
    before, _, start = _numbered(ref)
    return f"{before}#@{start}" if start else None


def otherwise_numbered(archive: str, number: int) -> str:
    """The ref of what has no name, where `member_ref` of an earlier listing stands for something else: its number with
    a zero before it.
    """
    return f"{archive}{MEMBER}#0{number}"


def names_of(ref: str) -> list[bytes]:
    """What each archive on the way to an Item, and the Item itself, is called in the one around it."""
    return [unquote(step.rpartition("#")[0]) for step in ref.split(MEMBER)[1:]]


def _numbered(step: str) -> tuple[str, str, str]:
    """What stands before the number of a member, the number, and where its content begins ("": not said)."""
    before, _, behind = step.rpartition("#")
    number, _, start = behind.partition("@")
    return before, number, start
