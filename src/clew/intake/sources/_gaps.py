"""Where in what no partition table and no file system names something may lie all the same."""

from collections.abc import Mapping, Set
from typing import Any

from clew.intake.refs import volume

DOS_FIRST, ALIGNED = 63 * 512, 1 << 20  # bytes: where tools that make partitions have the first one begin


def places(detail: Mapping[str, Any], met: Set[str]) -> list[int]:
    """Where in a stretch a file system may begin that is not of the volumes `met` before: at its beginning, and where
    a partition would, or a logical volume whose boot record the stretch begins with.
    """
    begin, end = detail["offset"], detail["offset"] + detail["length"]
    found = sorted({begin, DOS_FIRST, begin + DOS_FIRST, (begin // ALIGNED + 1) * ALIGNED})
    return [at for at in found if begin <= at < end and volume({**detail, "offset": at}) not in met]
