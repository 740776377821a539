"""The other files of an image: found beside the one that names them, and nowhere else.

A name inside an image is the suspect's to choose: no folder of it is followed, and no symbolic link.
"""

import re
from pathlib import Path

from clew.core.errors import Usage


def beside(path: Path, name: str) -> Path:
    """The regular file in the same folder that a file at `path` names; on Windows upper and lower case are alike.

    Raises Usage where it is not there.
    """
    last = re.split(r"[/\\]", name)[-1]
    same = [each for each in path.parent.iterdir() if each.name.casefold() == last.casefold()]
    for each in sorted(same, key=lambda other: other.name != last):
        if each.is_file() and not each.is_symlink():
            return each
    raise Usage(f"{path.name} needs {last!r}, which is not beside it", "put all files of the image into one folder")
