"""One artefact's entry beside one endpoint interval of a Lead: what agrees, what cannot both be true, what is open.

Two clocks are compared: the observer's, with the error that its kernel stated, and the Exhibit's, with the offset and
error that a person measured at the seizure. A contradiction needs both, and the bytes must be apart by more than both
errors; where one was not measured, or they overlap, that is said and decides nothing. Nothing found decides nothing.
A file's local time without a zone says only what it says in every zone that there is.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from clew.attribute.artefacts import Entry, Place
from clew.attribute.merge import HOUR_NS, Policy
from clew.attribute.statements import Clock
from clew.core import clock

SECOND_NS = 1_000_000_000
EASTERNMOST_NS, WESTERNMOST_NS = 14 * HOUR_NS, -12 * HOUR_NS  # local time minus UTC (IANA tz database, 2026)
USUAL_PORTS = {*range(6881, 6890), 8999, 51_413}  # which clients take by themselves (qBittorrent to 4.0, Transmission)
SAME_NS = Policy().max_gap_ns  # a list that was written later may name the endpoint as another's


class Outcome(StrEnum):
    """What the artefacts say of a Lead, never of a person."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    SILENT = "silent"


class Says(StrEnum):
    """What one finding says. `ADDS` strengthens a support and is none itself."""

    SUPPORTS = "supports"
    CONTRADICTS = "contradicts"
    ADDS = "adds"
    NEITHER = "decides nothing"


class Match(StrEnum):
    """What agrees, from the weakest on."""

    INFOHASH = "infohash"
    TIMES = "times"
    PIECES = "verified pieces"
    ENDPOINT = "endpoint in a client's list"
    PORT = "listening port"


@dataclass(frozen=True, slots=True)
class Seen:
    """One endpoint interval of a Lead, with how wrong the observer's clock may have been; None: not measured."""

    watch: str
    address: str
    port: int
    from_ns: int
    to_ns: int
    error_ns: int | None


@dataclass(frozen=True, slots=True)
class Beside:
    """The Exhibit that an entry lies in. `linked`: a person states that it belongs to the Lead's Subject."""

    label: str
    linked: bool
    seized_ns: int | None
    clock: Clock | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one entry says of one interval, and why."""

    says: Says
    matches: tuple[Match, ...]
    why: tuple[str, ...]


def weigh(seen: Seen, entry: Entry, place: Place, beside: Beside) -> Judged | None:
    """None where the entry is no matter of this Lead: its Exhibit is not linked, and it does not know the endpoint."""
    knows = any((address, port) == (seen.address, seen.port) for address, port, _, _ in entry.endpoints)
    if not beside.linked and not knows:
        return None
    return until_seized(seen, beside, _entry(seen, entry, place, beside, knows=knows))


def until_seized(seen: Seen, beside: Beside, judged: Judged) -> Judged:
    """What was judged, as far as the Exhibit was still in use: nothing in it explains what was seen after it was taken
    away.
    """
    if beside.seized_ns is None or beside.seized_ns >= seen.to_ns:
        return judged
    seized = f"the exhibit was seized on {clock.iso(beside.seized_ns)}"
    if beside.seized_ns < seen.from_ns:
        return Judged(Says.NEITHER, (), (f"{seized}, before this was seen: it was not there any more",))
    why = f"{seized}, and this was seen until {clock.iso(seen.to_ns)}: what was seen after the seizure is not explained"
    return replace(judged, why=(*judged.why, why))


def _entry(seen: Seen, entry: Entry, place: Place, beside: Beside, *, knows: bool) -> Judged:
    """`knows`: its list names the interval's endpoint."""
    when = _when(seen, entry, beside)
    doubt = _doubt(entry, place) if when.says is Says.CONTRADICTS else ""
    if doubt:
        when = Judged(Says.NEITHER, (), (*when.why, f"{doubt}, so it contradicts nothing"))
    if when.matches and not place.live:
        why = "the artefact was deleted, at a time not known: it may have been gone before this was seen"
        when = Judged(when.says, (), (*when.why, why))
    if not beside.linked:
        return _only_endpoint(_listed(seen, entry, place, beside), when)
    name = ("its infohash stands in the file's name alone, which is a claim of its own",) if entry.by_name else ()
    if when.says is not Says.SUPPORTS:
        return replace(when, why=(*when.why, *name))
    listed = _listed(seen, entry, place, beside) if knows else Judged(Says.NEITHER, (), ())
    matches = (Match.INFOHASH, *when.matches, *listed.matches)
    return Judged(Says.SUPPORTS, matches, (*when.why, *name, *listed.why))


def _doubt(entry: Entry, place: Place) -> str:
    """Why its time and the Exhibit's clock are not sure to be of each other; empty where nothing says so."""
    if not place.whole:
        return "not all of the artefact's bytes are sure to be its own"
    if entry.damaged:
        return "the artefact is damaged: not all of it could be read"
    return "it lies inside another file, as in a backup, and may be of another machine's clock" if place.inside else ""


def listening(port: int) -> Judged:
    """The port of the interval is one that a client of a linked Exhibit was set to listen on."""
    why = f"a client there was set to listen on port {port}"
    usual = ("many clients listen there, since nobody set another port: that it is the same tells little",)
    return Judged(Says.ADDS, (Match.PORT,), (why, *(usual if port in USUAL_PORTS else ())))


def shown(seen: Seen, entry: Entry, judged: Judged) -> dict[str, tuple[int, int]]:
    """Offset and length of the bytes that show it: of the infohash, of the time, of the endpoint."""
    facts = entry.facts
    found: dict[str, tuple[int, int]] = {}
    if not entry.by_name:
        found["infohash"] = facts.span("infohash_v1" if "infohash_v1" in facts.where else "infohash_v2")
    if facts.added_s is not None:
        found["added"] = facts.span("added_s")
    if Match.ENDPOINT in judged.matches:
        places = {(address, port): (at, length) for address, port, at, length in entry.endpoints}
        found["endpoint"] = places[seen.address, seen.port]
    return found


def _when(seen: Seen, entry: Entry, beside: Beside) -> Judged:
    """The time at which the entry was added, held against the interval."""
    added_s = entry.facts.added_s
    if added_s is None:
        return Judged(Says.SUPPORTS, (), ("the artefact does not say when it was added",))
    own, last = _added(added_s), _last(seen)
    if beside.clock is None and beside.seized_ns is not None and added_s * SECOND_NS > beside.seized_ns:
        return Judged(Says.NEITHER, (), (f"{own}: {_after(beside.seized_ns)}",))
    if beside.clock is None or seen.error_ns is None:
        whose = "the exhibit's clock" if beside.clock is None else "the observer's clock"
        if added_s * SECOND_NS > seen.to_ns:
            why = f"{own}, {last}: that would not fit, but {whose} was not measured, so it decides nothing"
            return Judged(Says.NEITHER, (), (why,))
        return Judged(Says.SUPPORTS, (), (f"{own}, {last}; {whose} was not measured",))
    return _measured(seen, beside.seized_ns, beside.clock, seen.error_ns, added_s)


def _measured(seen: Seen, seized_ns: int | None, exhibits: Clock, error_ns: int, added_s: int) -> Judged:
    """The same where both clocks were measured; `error_ns` is the observer's."""
    off, error = exhibits.offset_ns, exhibits.error_ns
    earliest = added_s * SECOND_NS - off - error
    latest = (added_s + 1) * SECOND_NS - off + error  # the artefact counts whole seconds
    own, last = _added(added_s), _last(seen)
    measured = f"{own}, which was {off / SECOND_NS:+.3f} s off, give or take {error / SECOND_NS:.3f} s"
    if seized_ns is not None and earliest > seized_ns:
        return Judged(Says.NEITHER, (), (f"{measured}: {_after(seized_ns)}",))
    if earliest > seen.to_ns + error_ns:
        why = f"{measured}: after it was {last}, give or take {error_ns / SECOND_NS:.3f} s"
        return Judged(Says.CONTRADICTS, (), (why, OTHER_WAYS))
    if latest <= seen.to_ns - error_ns:
        whole = latest <= seen.from_ns - error_ns
        part = "last seen, not surely before it was first seen: what was seen earlier it does not explain"
        why = f"{measured}: before it was {'first seen' if whole else part}"
        return Judged(Says.SUPPORTS, (Match.TIMES,), (why,))
    return Judged(Says.NEITHER, (), (f"{measured}, {last}: within the errors of both clocks",))


def _added(added_s: int) -> str:
    return f"added at {clock.iso(added_s * SECOND_NS)} by the clock of its machine"


def _after(seized_ns: int) -> str:
    return f"after the exhibit was seized on {clock.iso(seized_ns)}, so one of these times is wrong"


def _last(seen: Seen) -> str:
    return f"last seen at {clock.iso(seen.to_ns)}"


OTHER_WAYS = "a torrent that was removed and added again, another client or another device are not excluded by it"
ANOTHERS = "the address may have been another's then"
HEARSAY = (
    "a client's list of endpoints may repeat what a tracker or another peer told it; it shows that the endpoint was "
    "known for this torrent, not that data moved, and nothing of whose exhibit this is"
)


def _only_endpoint(listed: Judged, when: Judged) -> Judged:
    """An Exhibit that is not linked: it says something of the address alone, and only of the same time."""
    if when.says in (Says.CONTRADICTS, Says.NEITHER):
        why = f"it names the endpoint, but was added later: {ANOTHERS}"
        return Judged(Says.NEITHER, (), (why, *when.why))
    if listed.says is Says.NEITHER:
        return listed
    return Judged(Says.SUPPORTS, (*listed.matches, *when.matches), (*when.why, *listed.why))


def _listed(seen: Seen, entry: Entry, place: Place, beside: Beside) -> Judged:
    """The list that names the interval's endpoint: it is of its last write, as far as its file system tells that."""
    if place.modified_ns is None:
        if entry.facts.added_s is None:
            why = "it names the endpoint, but neither when it was added nor when it was last written is known"
            return Judged(Says.NEITHER, (), (f"{why}: {ANOTHERS}",))
        return Judged(Says.SUPPORTS, (Match.ENDPOINT,), ("when its list was last written is not known", HEARSAY))
    digits = clock.iso(place.modified_ns)
    whose = "its zone and that of its mount are" if place.moved else "its zone is"
    when = digits if place.zoned else f"{digits.removesuffix('Z')} (local time, {whose} not known)"
    written = f"last written at {when} by the clock of its machine"
    own = (0, 0) if place.zoned else (EASTERNMOST_NS, WESTERNMOST_NS)
    mount = (WESTERNMOST_NS, EASTERNMOST_NS) if place.moved else (0, 0)  # what Linux took off to have UTC
    zones = [of_writer - of_reader for of_writer, of_reader in zip(own, mount, strict=True)]
    outside = dict.fromkeys(_outside(place.modified_ns - zone, seen, beside) for zone in zones)
    if any(outside):
        but = ("perhaps " if len(outside) > 1 else "") + " or ".join(filter(None, outside))
        return Judged(Says.NEITHER, (), (f"it names the endpoint, but was {written}, {but}: {ANOTHERS}",))
    return Judged(Says.SUPPORTS, (Match.ENDPOINT,), (f"its list was {written}", HEARSAY))


def _outside(written_ns: int, seen: Seen, beside: Beside) -> str | None:
    """Why a list that was written then, in UTC by the clock of its machine, is not of the interval's time."""
    off, error = (beside.clock.offset_ns, beside.clock.error_ns) if beside.clock else (0, 0)
    if beside.seized_ns is not None and written_ns - off - error > beside.seized_ns:
        return f"after the exhibit was seized on {clock.iso(beside.seized_ns)}, as by somebody who started it"
    if written_ns - off + error < seen.from_ns:
        return "before this was first seen"
    if written_ns - off - error > seen.to_ns + SAME_NS:
        return f"more than {SAME_NS // HOUR_NS} hours after this was {_last(seen)}"
    return None
