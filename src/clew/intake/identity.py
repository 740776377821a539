"""By what an Exhibit's image is known again when a run goes on: size, times and both ends of each of its files, and
samples of what lies between.

Not a digest of the whole, which would be another read of it; where these leave a doubt, that is what decides
(`custody.recognise`). A folder has no such identity: there each file's change shows when it is read.
"""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from clew.intake import mounts

ENDS = 64 << 10  # bytes of each end that are hashed
SAMPLE = 4 << 10  # bytes of each sample
MOST_SAMPLES, APART = 1024, 1 << 20  # at most so many, and one in so many bytes: no read of it by itself
_TIMES = ("modified_ns", "changed_ns", "inode")
Place = tuple[int, str]  # where a sample begins, and its SHA-256; "" where it could not be read


def of(descriptors: Sequence[int], recorded: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """What each file is known by, with samples at the `recorded` places, or at new ones. Raises OSError."""
    sizes = [os.lseek(descriptor, 0, os.SEEK_END) for descriptor in descriptors]
    before = recorded or []
    if len(before) == len(sizes) and not less(before):
        drawn = [[at for at, _ in each["samples"]] for each in before]
    else:
        drawn = _places(sizes)
    return [_file(*each) for each in zip(descriptors, sizes, drawn, strict=True)]


def differences(recorded: list[dict[str, Any]], found: list[dict[str, Any]], *, moved: bool) -> list[str]:
    """What is not as it was, in words. Where the image was `moved`, times and inodes are those of a copy."""
    if len(recorded) != len(found):
        return [f"it lies in {len(found)} files, where it lay in {len(recorded)}"]
    names = {"size": "its size", "head": "its first bytes", "tail": "its last bytes"}
    if not moved:
        names |= {"modified_ns": "the time it was last written to", "inode": "the file itself (it was replaced)"}
    said = []
    for number, (before, now) in enumerate(zip(recorded, found, strict=True), 1):
        said += [f"file {number}: {what}" for name, what in names.items() if _differs(name, before, now)]
    return said + between(recorded, found)


def between(recorded: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[str]:
    """Of which files bytes between the ends are not as they were, in words."""
    said = []
    for number, (before, now) in enumerate(zip(recorded, found, strict=True), 1):
        others = [at for at, _ in _others(before.get("samples", []), now.get("samples", []))]
        said += [f"file {number}: its bytes at {others[0]:,}"] if others else []
    return said


def touched(recorded: list[dict[str, Any]], found: list[dict[str, Any]]) -> bool:
    """Whether the system says that something was done to a file, though its time of writing may have been set back. Its
    bytes may be the same, as where it was renamed.
    """
    return any("changed_ns" in before and before["changed_ns"] != now["changed_ns"]
               for before, now in zip(recorded, found, strict=True))  # fmt: skip


def less(recorded: list[dict[str, Any]]) -> bool:
    """Whether an earlier version recorded it, by size, times and ends alone."""
    return any("samples" not in each for each in recorded)


def written(recorded: list[dict[str, Any]], descriptors: Sequence[int]) -> bool:
    """Whether anything was done to the files while they were open, as far as the system tells. Nothing is read."""
    now = [_times(os.fstat(descriptor)) for descriptor in descriptors]
    return any(_differs(name, before, times) for before, times in zip(recorded, now, strict=True) for name in _TIMES)


def stamp(location: str, found: list[dict[str, Any]]) -> str:
    """Of which copy, in which state, something was read."""
    known = [[each["size"], *(each[name] for name in _TIMES)] for each in found]
    return hashlib.sha256(json.dumps([location, known]).encode()).hexdigest()


def told(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same for the Ledger: of the samples how many there are."""
    return [{**each, "samples": len(each["samples"])} for each in found]


def _places(sizes: Sequence[int]) -> list[list[int]]:
    """Of each file, where samples are taken: evenly spread over all of them, each at random in its stretch."""
    total = sum(sizes)
    count = min(MOST_SAMPLES, total // APART)
    drawn: list[list[int]] = [[] for _ in sizes]
    number, before = 0, 0
    for each in range(count):
        first, end = total * each // count, total * (each + 1) // count
        at = first + secrets.randbelow(end - first - SAMPLE)
        while at >= before + sizes[number]:
            before += sizes[number]
            number += 1
        drawn[number].append(at - before)
    return drawn


def _others(before: list[Place], now: list[Place]) -> list[Place]:
    """Samples that are of other bytes; what could not be read at either time tells nothing."""
    pairs = zip_longest(before, now, fillvalue=(0, ""))
    return [(old[0], old[1]) for old, new in pairs if old[0] == new[0] and old[1] and new[1] and old[1] != new[1]]


def _differs(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether that is not as it was; an inode of 0 tells nothing."""
    if name == "inode" and not (before.get(name) and now[name]):
        return False
    return bool(before.get(name) != now[name])


def _times(status: os.stat_result) -> dict[str, int]:
    if not stat.S_ISREG(status.st_mode):  # of a device they are its node's, not its content's
        return dict.fromkeys(_TIMES, 0)
    inode = status.st_ino if mounts.numbers_last(status.st_dev) else 0
    return {"modified_ns": status.st_mtime_ns, "changed_ns": status.st_ctime_ns, "inode": inode}


def _file(descriptor: int, size: int, places: list[int]) -> dict[str, Any]:
    return {
        "size": size,
        "head": hashlib.sha256(os.pread(descriptor, ENDS, 0)).hexdigest(),
        "tail": hashlib.sha256(os.pread(descriptor, ENDS, max(0, size - ENDS))).hexdigest(),
        "samples": [[at, _sample(descriptor, at)] for at in places],
        **_times(os.fstat(descriptor)),
    }


def _sample(descriptor: int, at: int) -> str:
    try:
        return hashlib.sha256(os.pread(descriptor, SAMPLE, at)).hexdigest()
    except OSError:  # a sector that cannot be read: whoever reads it next says so
        return ""
