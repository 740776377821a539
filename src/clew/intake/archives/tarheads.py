"""What the header block of a tar says of a member that libarchive does not hand out (POSIX.1-2017, pax: ustar header
block; GNU tar, basic tar format).
"""

from clew.intake.archives.kinds import is_tar
from clew.model import Missing, Reason

_LINK, _CONTINUED = b"1", b"M"  # types: a hard link; the rest of a file that another volume begins
_JOIN = "unpack all volumes with another tool and take in what comes out as an exhibit of its own"


def doubt(block: bytes, size: int) -> Missing | None:
    """Why what libarchive gives as the content, of so many bytes, is not all of the member whose header this is."""
    if not is_tar(block):
        return None
    if block[156:157] == _CONTINUED:
        at = _octal(block[369:381])
        where = "some byte" if at is None else f"byte {at:,}"
        return Missing(Reason.UNREADABLE, f"the rest of a file from {where} on, continued from another volume: {_JOIN}")
    stated = _octal(block[124:136]) or 0
    if block[156:157] == _LINK and not size and stated:
        why = f"its header calls it a link and states {stated:,} bytes, of which none could be taken for its content"
        return Missing(Reason.UNPARSABLE, why)
    return None


def _octal(field: bytes) -> int | None:
    """A number; in base 256 where it is large, as GNU tar writes it. None where it is none."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:])
    try:
        return int(field.strip(b" \0"), 8)
    except ValueError:
        return None
