"""What it says of a Watch that a seized file has the piece hashes of its torrent, in words, and which bytes show it."""

from clew.attribute.artefacts import Verified
from clew.model import Watch


def which(about: Watch, held: Verified) -> str:
    """Which file of the watched torrent it is, and by what that is known."""
    another = "another file of the watched torrent"
    if about.file_length not in (None, held.size):
        file = another
    elif about.file_offset is None or about.file_length is None or held.offset is None:
        file = "a file of the watched torrent; whether it is the watched file itself is not known"
    elif held.offset == about.file_offset:
        file = "the watched file itself"
    else:
        file = another
    if held.across and held.known < held.size:
        file = f"in the place of {file}"
    return f"{file}: {_across(held) if held.across else _alone(held)} that the torrent states"


def shown(held: Verified) -> dict[str, tuple[int, int]]:
    """Offset and length of the bytes that are known to be the torrent's."""
    if not held.across:
        return {"whole": (0, held.size)}
    return {f"piece {number}": (first, count) for number, (first, count, _) in held.across.items()}


def _alone(held: Verified) -> str:
    how = f"all {held.checked} pieces that lie wholly inside it have the hashes"
    return how if held.method == "v1" else "its whole bytes have the root"


def _across(held: Verified) -> str:
    """Of such a piece all its files are known at once, each by its bytes there, and none by any other bytes."""
    size = held.known
    much = f"all {held.size:,}" if size == held.size else f"{size:,} of the {held.size:,}"
    pieces = ", ".join(f"{number} (in {files} files)" for number, (_, _, files) in held.across.items())
    which = f"piece {pieces}, which lies" if len(held.across) == 1 else f"pieces {pieces}, which lie"
    hashes = "has the hash" if len(held.across) == 1 else "have the hashes"
    return f"{much} bytes of it are in {which} in several files and, with the bytes of all of these there, {hashes}"
