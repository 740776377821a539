"""What all artefacts share: a look at the first bytes, the whole of them, and the account of entries."""

from collections.abc import Iterator

from clew.core.absent import absent
from clew.intake.api import Probe, Value
from clew.model import Missing, Reason

KEY = "clew.intake.artefacts._artefact"
KEY_HEAD = f"{KEY}.head"
HEAD = 64  # bytes
MOST_TOLD = 5  # lost stretches


def head(probe: Probe) -> bytes:
    """The first bytes, by which an artefact is told from everything else. Raises Absent where nobody can read them."""
    if probe.data is not None:
        return bytes(probe.data[:HEAD])
    if probe.source is not None:
        found = probe.cache.get(KEY_HEAD)
        if not isinstance(found, bytes):  # going back to the beginning of a member of an archive may cost a lot
            found = probe.cache[KEY_HEAD] = probe.source.read(0, HEAD)
        return found
    raise absent(Reason.TOO_LARGE, f"{probe.size:,} bytes: not held, so whether it is an artefact is not known")


def whole(probe: Probe) -> bytes:
    """All of its bytes, copied once per Probe. Raises Absent where they are too many to hold."""
    if probe.data is None:
        raise absent(Reason.TOO_LARGE, f"begins like an artefact, but {probe.size:,} bytes are not held in memory")
    found = probe.cache.get(KEY)
    if not isinstance(found, bytes):
        found = probe.cache[KEY] = bytes(probe.data)
    return found


def told(lost: list[str], end: int) -> str:
    """Stretches that were lost, in one text: the first of them, how many more, and where the reading ended."""
    more = [f"and {len(lost) - MOST_TOLD} more such stretches"] if len(lost) > MOST_TOLD else []
    return "; ".join([*lost[:MOST_TOLD], *more]) or f"nothing is left at byte {end:,}"


def account(declared: int, read: int, lost: str = "") -> Iterator[tuple[str, Value]]:
    """Traits "p2p.entries.declared" and ".read"; where they differ, "p2p.entries" says how many are lost, and where."""
    yield "p2p.entries.declared", declared
    yield "p2p.entries.read", read
    if declared != read or lost:
        counts = f"{read} of {declared} entries were read"
        yield "p2p.entries", Missing(Reason.UNPARSABLE, f"{counts}: {lost}" if lost else counts)


def after(end: int, size: int) -> Iterator[tuple[str, Value]]:
    """Trait "p2p.rest" where bytes stand after the end of what was understood."""
    if end < size:
        yield "p2p.rest", Missing(Reason.UNPARSABLE, f"{size - end:,} bytes from byte {end:,} on are not explained")
