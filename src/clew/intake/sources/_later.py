"""Later states of a virtual disk: files beside it that hold what was written since it became their base.

Once a snapshot is taken, VMware, Hyper-V and QEMU leave the disk as it was and write to another file that names it as
its parent. Whoever takes in the first one alone has the state of that day.
"""

import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from clew.core.absent import Absent
from clew.intake.containers import qcow, vhd, vhdx, vmdk
from clew.intake.sources._disk import open_read_only
from clew.model import Missing, Reason

MOST_NAMED = 5


class Origin(NamedTuple):
    """What a file says of the one that it is a difference to: its path, None for any other file. Of a VMDK also the
    content ids of both, and the files that hold its extents.
    """

    parent: str | None = None
    own_id: int | None = None
    parent_id: int | None = None
    extents: frozenset[str] = frozenset()


def later(path: Path) -> tuple[Missing, ...]:
    """What is to be said of files in the same folder that are differences to the one at `path`."""
    real = path.resolve()
    if not real.is_file():  # a device
        return ()
    try:
        with os.scandir(real.parent) as entries:
            beside = {each.name: _origin(Path(each.path)) for each in entries if each.is_file(follow_symlinks=False)}
    except OSError as error:
        why = f"whether a later state of it lies beside it is not known: its folder cannot be listed ({error.strerror})"
        return (Missing(Reason.UNKNOWN, why),)
    found = _children(real.name, beside)
    if not found:
        return ()
    names = ", ".join(map(repr, found[:MOST_NAMED])) + (", ..." if len(found) > MOST_NAMED else "")
    way = "take that in as well; where it is refused, `qemu-img convert` beside all of them makes one image"
    return (Missing(Reason.UNKNOWN, f"a later state of it lies beside it, in {names}, and is not in this: {way}"),)


def _children(name: str, beside: Mapping[str, Origin]) -> list[str]:
    """Which of the files are differences to the one of that name, or to the VMDK of which it is an extent."""
    bases = [name, *(other for other, said in beside.items() if name in said.extents)]
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
    """The file that a path of Windows or of Unix names, or the one string of a JSON that QEMU writes for one."""
    said = re.search(r'"filename": *"([^"]*)"', name) if name.startswith("json:") else None
    return re.split(r"[/\\]", said[1] if said else name.removeprefix("file:"))[-1]
