"""What the settings of a virtual machine, in the same folder as a disk, say of it: that a snapshot keeps it as it was.

The file that holds what was written since may not have been copied with it. VMware: NAME.vmsd lists the disks that
snapshots keep, NAME.vmx those that the machine writes to, under the name of their base and six digits. VirtualBox:
NAME.vbox has each disk inside of the one that it differs from (VirtualBox User Manual, 5.5, "Differencing Images").
"""

import os
import re
from collections.abc import Container
from html import unescape
from pathlib import Path

from clew.intake.sources._disk import open_read_only

SETTINGS = (".vmsd", ".vmx", ".vbox")
MOST = 1 << 20  # bytes of one
_NONE = re.compile(r'^snapshot\.numSnapshots *= *"0"', re.MULTILINE | re.IGNORECASE)  # others are of before
_KEPT = re.compile(r'^snapshot\d+\.disk\d+\.fileName *= *"([^"\n]*)"', re.MULTILINE | re.IGNORECASE)
_WRITTEN = re.compile(r'^\w+:\d+\.fileName *= *"([^"\n]*)"', re.MULTILINE | re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)-\d{6}(\.vmdk)")
_HARD_DISK = re.compile(r"<(/?)HardDisk\b([^<>]*)>")
_LOCATION = re.compile(r'\blocation="([^"]*)"')


def kept_as_it_was(names: Container[str], settings: Path) -> bool:
    """Whether settings say that what is written now goes to another file than to one of these, lower-case names of one
    disk and its extents. What cannot be read says nothing.
    """
    text = _text(settings)
    if settings.suffix.lower() == ".vmsd":
        return _NONE.search(text) is None and any(last(name) in names for name in _KEPT.findall(text))
    if settings.suffix.lower() == ".vmx":
        written = {last(name) for name in _WRITTEN.findall(text)}
        bases = {match[1] + match[2] for name in written if (match := _NUMBERED.fullmatch(name))}
        return any(each in names for each in bases) and not any(each in names for each in written)
    inside = ""
    for ends, attributes in _HARD_DISK.findall(text):
        if not ends and inside in names:
            return True
        place = None if ends or attributes.endswith("/") else _LOCATION.search(attributes)
        inside = last(unescape(place[1])) if place else ""
    return False


def last(name: str) -> str:
    """The file that a path of Windows or of Unix names, in lower case."""
    return re.split(r"[/\\]", name)[-1].lower()


def _text(path: Path) -> str:
    try:
        descriptor = open_read_only(path)
    except OSError:
        return ""
    try:
        return os.pread(descriptor, MOST, 0).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
