"""Later states of a virtual disk: files beside it that hold what was written since it became their base.

Once a snapshot is taken, VMware, Hyper-V and QEMU leave the disk as it was and write to another file that names it as
its parent. Whoever takes in the first one alone has the state of that day.
"""

import os
import re
from pathlib import Path

from clew.core.absent import Absent
from clew.intake.containers import qcow, vhd, vhdx, vmdk
from clew.intake.sources._disk import open_read_only
from clew.model import Missing, Reason

MOST_NAMED = 5


def later(path: Path) -> tuple[Missing, ...]:
    """What is to be said of files in the same folder that are differences to the one at `path`."""
    real = path.resolve()
    if not real.is_file():  # a device
        return ()
    own = _content_id(real)
    with os.scandir(real.parent) as entries:
        others = [Path(each.path) for each in entries if each.is_file(follow_symlinks=False)]
    found = sorted(each.name for each in others if each != real and _differs_from(real, own, each))
    if not found:
        return ()
    names = ", ".join(map(repr, found[:MOST_NAMED])) + (", ..." if len(found) > MOST_NAMED else "")
    way = "take that in as well; where it is refused, `qemu-img convert` beside all of them makes one image"
    return (Missing(Reason.UNKNOWN, f"a later state of it lies beside it, in {names}, and is not in this: {way}"),)


def _content_id(path: Path) -> int | None:
    """By which a difference knows a VMDK again, whatever its name."""
    try:
        descriptor = open_read_only(path)
    except OSError:
        return None
    try:
        return vmdk.lineage(vmdk.descriptor(descriptor) or "").own
    except Absent:
        return None
    finally:
        os.close(descriptor)


def _differs_from(path: Path, own: int | None, other: Path) -> bool:
    """Whether `other` names the file at `path` as its parent, or the content id `own`."""
    try:
        descriptor = open_read_only(other)
    except OSError:  # of what may not be read nothing can be said
        return False
    try:
        magic, name = os.pread(descriptor, len(vmdk.DESCRIPTOR), 0), None
        if magic.startswith((vmdk.MAGIC, vmdk.DESCRIPTOR)):
            said = vmdk.lineage(vmdk.descriptor(descriptor) or "")
            name = said.parent_name or "" if said.parent is not None else None
            renamed = name is not None and not other.with_name(_last(name) or ".").is_file()
            if renamed and said.parent == own:  # new disks of VMware all have the same id
                return True
        elif magic.startswith(qcow.MAGIC):
            name = qcow.backing_name(descriptor)
        elif magic.startswith(vhd.COOKIE):
            name = vhd.parent_name(descriptor)
        elif magic.startswith(vhdx.MAGIC):
            name = vhdx.parent_name(descriptor)
    except (Absent, OSError):
        return False
    finally:
        os.close(descriptor)
    return name is not None and _last(name).casefold() == path.name.casefold()


def _last(name: str) -> str:
    """The file that a path of Windows or of Unix names, or the one string of a JSON that QEMU writes for one."""
    said = re.search(r'"filename": *"([^"]*)"', name) if name.startswith("json:") else None
    return re.split(r"[/\\]", said[1] if said else name.removeprefix("file:"))[-1]
