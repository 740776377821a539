"""Later states of a virtual disk: files near it that hold what was written since it became their base.

Once a snapshot is taken, VMware, Hyper-V and QEMU leave the disk as it was and write to another file that names it as
its parent. Whoever takes in the first one alone has the state of that day. Looked at are the files in its folder, and
virtual disks by their names in the folders below and beside that one (VirtualBox has `Snapshots`).
"""

import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from clew.core.absent import Absent
from clew.intake.containers import qcow, vhd, vhdx, vmdk
from clew.intake.sources import _machines
from clew.intake.sources._disk import open_read_only
from clew.model import Missing, Reason

MOST_NAMED = 5
DISKS = (".vmdk", ".vhd", ".avhd", ".vhdx", ".avhdx", ".qcow", ".qcow2", ".img", ".snap")  # in other folders
_NEW = 0xFFFFFFFE  # the content id of every disk of VMware to which nothing was written
MOST_FOLDERS, MOST_ENTRIES = 200, 20_000  # that are looked through besides its own


class Origin(NamedTuple):
    """What a file says of the one that it is a difference to: its path, None for any other file. Of a VMDK also the
    content ids of both, and the files that hold its extents.
    """

    parent: str | None = None
    own_id: int | None = None
    parent_id: int | None = None
    extents: frozenset[str] = frozenset()


def later(path: Path) -> tuple[Missing, ...]:
    """What is to be said of files near the one at `path` that are differences to it."""
    real = path.resolve()
    if not real.is_file():  # a device
        return ()
    try:
        with os.scandir(real.parent) as entries:
            there = [each.name for each in entries if each.is_file(follow_symlinks=False)]
    except OSError as error:
        why = f"whether a later state of it lies beside it is not known: its folder cannot be listed ({error.strerror})"
        return (Missing(Reason.UNKNOWN, why),)
    beside = {name: _origin(real.parent / name) for name in there}
    bases = [real.name, *(other for other, said in beside.items() if real.name in said.extents)]
    found = [*_children(bases, beside), *sorted(_elsewhere(real.parent, bases, beside))]
    if not found:
        return _kept(real.parent, bases, there)
    names = ", ".join(map(repr, found[:MOST_NAMED])) + (", ..." if len(found) > MOST_NAMED else "")
    way = "take that in as well; where it is refused, `qemu-img convert` beside all of them makes one image"
    return (Missing(Reason.UNKNOWN, f"a later state of it lies beside it, in {names}, and is not in this: {way}"),)


def _kept(folder: Path, bases: Sequence[str], there: Sequence[str]) -> tuple[Missing, ...]:
    """What the settings of a machine say where no later state was found."""
    names = {each.lower() for each in bases}
    files = sorted(each for each in there if each.lower().endswith(_machines.SETTINGS))
    for name in files:
        if _machines.kept_as_it_was(names, folder / name):
            why = f"by {name!r} a snapshot keeps it as it was then: what was written since is in another file"
            return (Missing(Reason.UNKNOWN, f"{why}, which is not here; look for it where the machine was"),)
    return ()


def _elsewhere(folder: Path, bases: Sequence[str], beside: Mapping[str, Origin]) -> Iterator[str]:
    """Differences to one of `bases` that lie in another folder near by, as paths from this one."""
    ids = {beside[each].own_id for each in bases if each in beside} - {None, _NEW}
    for path in _disks_near(folder):
        said = _origin(path)
        name = _last(said.parent or "")
        if said.parent is None or (name and os.path.lexists(path.parent / name)):  # it has its parent beside it
            continue
        if said.parent_id in ids or any(_is(path, said.parent, folder / base) for base in bases):
            yield os.path.relpath(path, folder)


def _disks_near(folder: Path) -> Iterator[Path]:
    """Virtual disks, by their names, in the folder above, and in those below it and below this one."""
    left, below = MOST_ENTRIES, [folder, folder.parent]
    for number, place in enumerate(below):
        try:
            with os.scandir(place) as entries:
                for each in islice(entries, left):
                    left -= 1
                    if number < 2 and each.is_dir(follow_symlinks=False) and len(below) < MOST_FOLDERS:
                        below += [Path(each.path)] if Path(each.path) != folder else []
                    elif place != folder and each.name.lower().endswith(DISKS) and each.is_file(follow_symlinks=False):
                        yield Path(each.path)
        except OSError:  # of what may not be listed nothing can be said
            continue


def _is(child: Path, parent: str, base: Path) -> bool:
    """Whether the path that a difference in another folder has of its parent leads to `base`: from where it lies, or,
    where it is of another machine, by the last folder and the name.
    """
    parts = re.split(r"[/\\]", _path(parent))
    if parts[0] == "" or parts[0].endswith(":"):
        return [each.casefold() for each in parts[-2:]] == [base.parent.name.casefold(), base.name.casefold()]
    return os.path.normpath(child.parent.joinpath(*parts)).casefold() == str(base).casefold()


def _children(bases: Sequence[str], beside: Mapping[str, Origin]) -> list[str]:
    """Which of the files are differences to one of `bases`: a disk, and the VMDK of which it is an extent."""
    named = {each.casefold() for each in bases}
    ids = {beside.get(each, Origin()).own_id for each in bases} - {None}
    found = []
    for other, said in beside.items():
        if said.parent is not None and other not in bases:
            parent = _last(said.parent)
            renamed = parent not in beside  # otherwise no id counts: new disks of VMware all have the same
            found += [other] if parent.casefold() in named or (renamed and said.parent_id in ids) else []
    return sorted(found)


def _origin(path: Path) -> Origin:
    try:
        descriptor = open_read_only(path)
    except OSError:  # of what may not be read nothing can be said
        return Origin()
    try:
        magic = os.pread(descriptor, len(vmdk.DESCRIPTOR), 0)
        if magic.startswith((vmdk.MAGIC, vmdk.DESCRIPTOR)):
            text = vmdk.descriptor(descriptor) or ""
            said = vmdk.lineage(text)
            parent = (said.parent_name or "") if said.parent is not None else None
            return Origin(parent, said.own, said.parent, frozenset(vmdk.file_names(text)))
        if magic.startswith(qcow.MAGIC):
            return Origin(qcow.backing_name(descriptor))
        if magic.startswith(vhd.COOKIE):
            return Origin(vhd.parent_name(descriptor))
        return Origin(vhdx.parent_name(descriptor) if magic.startswith(vhdx.MAGIC) else None)
    except (Absent, OSError, struct.error):  # cut, damaged, or of that kind by its first bytes alone
        return Origin()
    finally:
        os.close(descriptor)


def _last(name: str) -> str:
    """The file that a path of Windows or of Unix names."""
    return re.split(r"[/\\]", _path(name))[-1]


def _path(name: str) -> str:
    """A path, or the one string of a JSON that QEMU writes for one."""
    said = re.search(r'"filename": *"([^"]*)"', name) if name.startswith("json:") else None
    return said[1] if said else name.removeprefix("file:")
