"""A disk image in whatever container: the session that all Sources of disks share.

Partition tables and file systems are read by workers alone. The parent opens the image's files once, read-only, and
every worker is born with them; it parses none of their bytes. What workers say of them is checked here: they may
belong to an attacker once they have parsed his disk.
"""

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clew.core import descriptors
from clew.intake import plugged
from clew.intake.api import Ask, Claimed, Deleted, Found, Job, Note, Part, Range, Seen, Unavailable
from clew.intake.carving.view import without
from clew.intake.refs import layer as layer_of
from clew.intake.refs import parse, parse_carved, place_of, quote, volume
from clew.intake.relist import NOTED, TABLE_UNREAD
from clew.intake.sources import _apfs, _carving, _discs, _doubts, _foreign, _gaps, _groups, _listed, _recount, _said
from clew.intake.sources._records import Records
from clew.intake.sources._sifted import Sifted
from clew.model import ContentState, ItemState, Missing, NameState, Reason

MOST = 500  # Items of one answer
RANGE = 20_000  # file records of one sweep task
CORNERED = 256  # directories listed in one go after which the search for a deadly one is over
SPARSE = 100
ACQUIRE = "clew.intake.containers.acquisition:acquire"
UNEXPLAINED = "high entropy, unexplained: a hidden or encrypted volume may lie there (VeraCrypt has no signature)"
Layer = dict[str, Any]  # what tells a stretch of a logical volume from one of the image: see `refs.volume`
MOST_FOUND = 64  # file systems that no partition table names

# What every worker of a disk needs, whatever the container.
PRELOAD: tuple[str, ...] = (
    "clew.core.resumable:library",
    "clew.intake.containers.acquisition",
    "clew.intake.disk.apfs",
    "clew.intake.disk.volumes",
    "clew.intake.disk.entries",
    "clew.intake.disk.iso",
    "clew.intake.disk.sweep",
    "clew.intake.disk.content",
    "clew.intake.disk.carve",
    "clew.intake.disk.owned",
    "clew.intake.disk.recount",
)


class Disk:
    """One opened image in the files `paths`; `container` ("module:function") gives a worker the image's bytes, and
    `acquire` is the entry that reads them all once. `growth` is how many times larger than its files the image may be
    and still be read in time: SPARSE where a container leaves out what was never written. `said` is what its Source has
    to say of it that is missing, `noted` what else.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        container: str,
        acquire: str = ACQUIRE,
        growth: int = 1,
        said: Sequence[Missing] = (),
        noted: Sequence[str] = (),
    ) -> None:
        many = f"the image lies in {len(paths):,} files"
        descriptors.room_for(len(paths), many, "join the segments")
        self.held = tuple(map(open_read_only, paths))
        self._container, self._remarks, self._noted = container, tuple(said), tuple(noted)
        self._paths = tuple(paths)
        self._sifted: dict[str, Sifted] = {}  # by volume: what carving told the search for lost entries
        self._met: set[str] = set()  # volumes whose beginning was looked at
        self._found: set[str] = set()  # those of them that no partition table names
        self._dealt: dict[int, Layer] = {}  # the RAID of which one disk has the LVM that begins at that byte
        self._groups = _groups.Groups()
        self._layouts: dict[str, _discs.Layout] = {}  # of the image, and of each logical volume
        self.detail: dict[str, Any] = {"opened": "read-only", "files": len(paths)}
        sizes = [os.lseek(descriptor, 0, os.SEEK_END) for descriptor in self.held]
        stored = sum(sizes)
        if len(paths) > 1:
            self.detail["segments"] = [[shown(path), size] for path, size in zip(paths, sizes, strict=True)]
        self.acquisition: Job | None = Job(acquire, self._payload(size=stored), bytes=stored * growth)
        self.itself: str | None = None

    def parts(self, ask: Ask) -> Iterator[Part]:
        """Partitions and the gaps between them; the whole image where there is no partition table."""
        said = _said.size(ask("clew.intake.disk.volumes:size", self._payload(), (), 0))
        if isinstance(said, Missing):
            yield Part("image", {"kind": "image"}, said)
            return
        size, remarks = said
        self._met, self._found = set(), set()
        if not size:
            yield Part("image", {"kind": "image"}, Missing(Reason.UNREADABLE, "it has no bytes"))
        for number, missing in enumerate(remarks):
            yield Part(f"container/{number}", {"kind": "container"}, missing)
        for number, missing in enumerate(self._remarks):
            yield Part(f"beside/{number}", {"kind": "container"}, missing)
        for number, what in enumerate(self._noted):
            yield Part(f"noted/{number}", {"kind": NOTED, "notes": {what: 1}})
        yield from self._stretches({}, size, "no partition table", ask)

    def _stretches(self, layer: Layer, size: int, otherwise: str, ask: Ask) -> Iterator[Part]:
        """Those of the image, or of a logical volume in it; `otherwise` says what it is without a partition table."""
        above = f"{volume({'offset': 0, **layer}).rpartition('/')[0]}/" if layer else ""
        table = ask("clew.intake.disk.volumes:table", self._payload(**layer), (), 0)
        stretches = [] if isinstance(table, Missing) else _said.stretches(table, size)
        if isinstance(table, Missing) or not any(each["allocated"] for each in stretches):
            whole = {"offset": 0, "length": size, "allocated": True, "table": otherwise, "beside": False}
            if isinstance(table, Missing):
                whole["table"] = f"{TABLE_UNREAD} ({table})"
            stretches = [whole]
        for number, missing in enumerate([] if isinstance(table, Missing) else _said.remarks(table)):
            yield Part(f"{above}table/{number}", {"kind": "partition table", **layer}, missing)
        self._met |= {volume({**each, **layer}) for each in stretches if each["allocated"] and each["length"]}
        layout = self._layouts[str(layer.get("lv"))] = _discs.Layout(size, stretches)
        held: list[Range] = []  # by partitions that another table names, and that open
        known: dict[int, Any] = {}

        def described(each: Mapping[str, Any]) -> Any:
            if each["offset"] not in known:
                where = {key: each[key] for key in ("offset", "length", "table")} | layer
                known[each["offset"]] = ask("clew.intake.disk.volumes:describe", self._payload(**where), (), 0)
            return known[each["offset"]]

        if not layer:
            self._groups.meet(described(each) for each in stretches if each["allocated"] and each["length"])
        for each in sorted(stretches, key=lambda each: not each["beside"]):
            detail = {key: each[key] for key in ("offset", "length", "table")} | layer
            if each["allocated"] and each.get("cut"):
                missing = Missing(Reason.UNREADABLE, "the partition goes on beyond the image's end: the image is cut")
                yield Part(f"{above}cut@{each['offset']}", {"kind": "partition", **detail}, missing)
            if each["allocated"] and each["length"]:
                found, others = described(each), _foreign.others(each, stretches, described)
                if each["beside"]:
                    held += [(each["offset"], each["length"])] if isinstance(found, dict) else []
                yield from self._partition(detail, found, ask, covered=each["beside"], others=others)
            elif not each["allocated"]:
                for at, length in without((each["offset"], each["length"]), held + layout.discs):
                    rest = detail | {"offset": at, "length": length}
                    name = volume(rest).replace("fs@", "gap@")
                    yield from self._gap(name, rest, ask, "carving outside partitions")

    def _gap(self, name: str, detail: Layer, ask: Ask, kind: str) -> Iterator[Part]:
        """What opens in it is listed; the rest is carved; where it looks like a hidden volume, that is said besides.
        `name` is of no other gap: those of a table, of a file system and of LVM may begin at the same byte.
        """
        places = _gaps.places(detail, self._met) if len(self._found) < MOST_FOUND else []
        said = ask("clew.intake.disk.volumes:gap", self._payload(**detail, places=places), (), 0)
        partition = name == volume(detail)  # of which the rest is said already
        if isinstance(said, Missing) and not partition:  # by the name of what may open there when it is asked again
            yield Part(volume(detail), {"kind": "unpartitioned", **detail}, said)
        at, noise, magic = _said.gap({} if isinstance(said, Missing) else said, places)
        if len(self._found) >= MOST_FOUND:
            magic = Missing(Reason.LIMIT_REACHED, f"not looked into, as {MOST_FOUND} others held file systems")
        if magic is not None:
            yield Part(f"{name}/magic", {"kind": "unpartitioned", **detail}, magic)
        if noise and not partition:
            yield Part(name, {"kind": "unpartitioned", **detail}, Missing(Reason.UNKNOWN, UNEXPLAINED))
        before = at - detail["offset"] if at is not None else detail["length"]
        if before:
            yield Part(f"{name}/carve", {"kind": kind, **detail, "length": before})
        if at is not None:
            inside = detail | {"offset": at, "length": detail["length"] - before}
            self._met.add(volume(inside))
            self._found.add(volume(inside))
            others = _foreign.NONE if "lv" in detail else self._groups.others(at)
            yield from self._partition(inside, said, ask, others=others)

    def _partition(
        self,
        detail: Layer,
        found: Any,
        ask: Ask,
        *,
        covered: bool = False,
        others: _foreign.Others = _foreign.NONE,
    ) -> Iterator[Part]:
        """What `found` says of it. What cannot be read is carved, unless that is `covered` by other stretches; `others`
        tells what further partitions hold of it.
        """
        name = volume(detail)
        if not isinstance(found, dict):
            missing = found if isinstance(found, Missing) else _said.broken("a partition")
            yield Part(name, {"kind": "partition", **detail}, missing)
            if missing.reason != Reason.ENCRYPTED and not covered:
                kind = "carving of a whole partition"
                if detail["offset"] == 0:  # as of a disk without a table, or a broken one
                    yield from self._gap(name, detail, ask, kind)
                else:
                    yield Part(f"{name}/carve", {"kind": kind, **detail})
            return
        found = found | self._dealt.get(detail.get("lv", (-1,))[0], {})
        magic, volumes = _said.magic(found), found.keys() & {"logical_volumes", "apfs_volumes"}
        opens = "file_system" in found or not (volumes or "disc" in found)
        more = _foreign.told(detail, found, others.ranges)
        if opens:
            known = {"kind": "file system", **detail, **_said.description(found), **more}
            known |= {"held": others.searched} if others.searched else {}
            alone = magic is None and not volumes
            yield from _listed.parts(name, known, alone=alone, carved=not others.wholly)
        if magic is not None:
            why = f"{magic.detail}; a file system that opens there too is listed, and may be an earlier one"
            yield Part(f"{name}/magic", {"kind": "partition", **detail}, Missing(magic.reason, why))
        beyond = _said.beyond(found) if "disc" not in found else None
        within = others.within(detail["length"], found)
        for what, said in (("raid", _said.striped(found)), ("cut", beyond), ("within", within)):
            if said is not None:
                yield Part(f"{name}/{what}", {"kind": "partition", **detail}, said)
        if "logical_volumes" in found:
            yield from self._logical(detail, found, ask)
        if "apfs_volumes" in found:
            yield from _apfs.parts(detail, found, more, alone=not opens)
        if "disc" in found:
            outside = partial(self._gap, ask=ask, kind="carving outside the files of a disc")
            layout = self._layouts[str(detail.get("lv"))]
            yield from _discs.parts(detail, found, ask, self._container, outside, layout)
        elif (opens or "apfs_volumes" in found) and not others.wholly:
            yield from self._behind(detail, found, ask)

    def _behind(self, detail: Layer, found: Any, ask: Ask) -> Iterator[Part]:
        """What a file system leaves over of its partition, image or logical volume: a gap like any other."""
        left = _said.behind(found, detail["length"])
        if left:
            rest = detail | {"offset": detail["offset"] + detail["length"] - left, "length": left}
            yield from self._gap(f"{volume(detail)}/behind", rest, ask, "carving behind a file system")

    def _logical(self, detail: Layer, found: Any, ask: Ask) -> Iterator[Part]:
        """Each logical volume as a disk of its own, and what none of them holds."""
        where = detail["offset"], detail["length"]
        volumes, remark = self._groups.volumes(found, where, inside="lv" in detail), _groups.remark(found)
        if remark is not None:
            yield Part(f"{volume(detail)}/text", {"kind": "partition", **detail}, remark)
        left = [where] if isinstance(volumes, Missing) else _said.left(found, *where)
        if isinstance(volumes, Missing):
            yield Part(volume(detail), {"kind": "partition", **detail}, volumes)
            volumes = []
        self._dealt[detail["offset"]] = {key: found[key] for key in ("striped",) if key in found}
        for at, length in left:
            rest = detail | {"offset": at, "length": length}
            yield from self._gap(f"{volume(detail)}/left@{at}", rest, ask, "carving outside logical volumes")
        for number, (name, size, missing) in enumerate(volumes):
            layer = {"lv": [detail["offset"], number]}
            if missing:
                place = {"kind": "partition", **detail, "table": f"LVM2: {name}"}
                yield Part(f"lv@{detail['offset']}.{number}", place, Missing(Reason.UNKNOWN, missing))
            else:
                yield from self._stretches(layer, size, f"LVM2: {name}", ask)

    def items(self, part: Part, cursor: str, seen: Seen, ask: Ask) -> Iterator[Found | Note]:
        """One stretch of the walk or sweep after the other; what kills a worker is cornered and named."""
        if part.detail.get("kind") == NOTED:
            return iter(())
        if part.name.endswith("/carve"):
            sifted = self._sifted.setdefault(volume(part.detail), Sifted())
            return _carving.items(part, cursor, self._payload(**layer_of(part.detail)), ask, sifted)
        if part.name.endswith("/recount"):
            where = {key: part.detail[key] for key in ("file_system", "length")} | place_of(part.detail)
            return _recount.items(self._payload(**where), cursor, ask)
        if part.name.endswith("/sweep"):
            return self._sweep(part.detail, cursor, seen, ask)
        root = None
        if part.name.endswith("/orphans"):
            root = [b"$OrphanFiles".hex(), part.detail["last_inode"]]
        return self._walk(part.detail, root, cursor, ask)

    def _walk(self, detail: Mapping[str, Any], root: Any, cursor: str, ask: Ask) -> Iterator[Found | Note]:
        payload = self._payload(**place_of(detail), root=root, most=MOST, cursor=cursor, directories=None)
        if root and volume(detail) in self._sifted:
            payload["sifted"] = self._sifted[volume(detail)].told()
        payload |= {key: detail[key] for key in ("length", "last") if "iso" in detail and key in detail} | _told(detail)
        entry = f"clew.intake.disk.{_reader(detail, 'entries')}:walk"
        culprit: tuple[str, bytes] | None = None
        # of FAT and of a disc the first stretch looks through the whole tree
        whole = root or detail.get("file_system") in _listed.ORPHANAGE or "iso" in detail
        size = detail["length"] if whole else _listed.patience(detail)
        while True:
            answer = ask(entry, payload, (), size)
            heard = answer if isinstance(answer, Missing) else _said.stretch(answer)
            if isinstance(heard, Missing):
                if payload["directories"] not in {0, 1}:
                    payload["directories"] = 0  # list nothing new: which directory comes next?
                    continue
                past, path = culprit or ("", b"")
                yield _lost(volume(detail), path, heard, past or payload["cursor"])
                if not past:
                    return
                payload |= {"cursor": past, "directories": None}
                culprit = None
                continue
            yield from heard.events
            if heard.done:
                return
            culprit = heard.next
            payload |= {"cursor": heard.cursor, "directories": _next_step(payload["directories"], heard)}

    def _sweep(self, detail: Mapping[str, Any], cursor: str, seen: Seen, ask: Ask) -> Iterator[Found | Note]:
        where, name = place_of(detail) | _told(detail), volume(detail)
        # The last address is The Sleuth Kit's own orphan directory.
        end = min(detail["last_inode"], detail["length"] // _listed.LEAST_RECORD)
        first, sub = (int(part) for part in cursor.split(".")) if cursor else (detail["first_inode"], -1)
        named = seen(f"{name}/", _named)
        if sub >= 0:  # the sweep itself listed part of this record; its other streams are still to come
            named.forget(first)
        length = RANGE
        while first < end:
            base, stop = first // 8 * 8, min(first + length, end)
            bits = b64encode(named.bits(base, stop)).decode()
            task = {"first": first, "sub": sub, "end": stop, "seen": bits, "seen_from": base, "most": MOST}
            answer = ask("clew.intake.disk.sweep:sweep", self._payload(**where, **task), (), 0)
            heard = answer if isinstance(answer, Missing) else _said.swept(answer, first)
            if not isinstance(heard, Missing):
                founds, first = heard
                yield from founds
                sub, length = -1, min(length * 2, RANGE)
            elif length > 1:
                length = max(1, length // 16)
            else:
                yield _lost(name, b"$OrphanFiles/record-%d" % first, heard, f"{first + 1}.-1", first)
                first, sub = first + 1, -1

    def job(self, ref: str) -> Job:
        """The file record and stream that `ref` names, or the runs of what was carved."""
        carved = parse_carved(ref)
        if carved is not None:
            return Job("clew.intake.disk.carve:reopen", self._payload(**carved))
        place = parse(ref)
        if place is None or "id" not in place:
            raise Unavailable(Missing(Reason.UNREADABLE, "there is no content to read"))
        return Job(f"clew.intake.disk.{_reader(place, 'content')}:stream", self._payload(**place))

    def claims(self, deleted: Mapping[str, Deleted], ask: Ask) -> dict[str, Claimed]:
        """What other deleted Items, and carved files, leave of the claims of deleted ones."""
        return _doubts.judged(deleted, self._payload(), ask)

    def check(self) -> None:
        """Raises ClewError where the image's files are not there any more, or none of three places can be read."""
        for path, descriptor in zip(self._paths, self.held, strict=True):
            plugged.file(path, descriptor)

    def close(self) -> None:
        """Closes the image's files."""
        for descriptor in self.held:
            os.close(descriptor)

    def _payload(self, **more: Any) -> dict[str, Any]:
        return {"container": self._container, **more}


def _told(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker is told of a file system besides its place: where others may have written, and whether it has only
    some of its bytes.
    """
    return {key: detail[key] for key in ("foreign", "striped") if key in detail}


def _reader(place: Mapping[str, Any], otherwise: str) -> str:
    """The module that reads a volume: clew's own for APFS and ISO 9660, else one on The Sleuth Kit."""
    return next((name for name in ("apfs", "iso") if name in place), otherwise)


def _next_step(step: int | None, heard: _said.Stretch) -> int | None:
    """How many directories to list next while one that kills its reader is cornered: 0, 1, 2, 4 ... any number."""
    if step is None or step >= CORNERED:
        return None
    if step == 0:
        return 1 if heard.next is not None else 0
    return 2 * step


def shown(path: Path) -> str:
    """A file's name, whatever its bytes."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def open_read_only(path: Path) -> int:
    """A descriptor, without touching the access time where we may ask for that. Raises OSError."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(path, flags)


def _lost(volume_name: str, path: bytes, missing: Missing, cursor: str, record: int = 0) -> Found:
    name = path or b"(the rest of this file system)"
    return Found(
        ref=f"{volume_name}/{record}/name/{quote(name)}/",
        path=name,
        size=0,
        cursor=cursor,
        found_by="disk",
        state=ItemState.UNREADABLE,
        missing=Missing(missing.reason, f"its reader failed: {missing.detail or missing.reason}"),
        name_state=NameState.LIVE,
        content_state=ContentState.UNREADABLE,
    )


def _named(refs: Iterator[str]) -> Records:
    """The file records that are listed under some name already."""
    named = Records()
    for ref in refs:
        place = parse(ref)
        if place is not None and "id" in place:
            named.add(place["record"])
    return named
