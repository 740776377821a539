"""Reading: every open Item of a batch goes through a worker once; then one transaction makes the whole batch true."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.core import blobs, shards
from clew.core.case import Case
from clew.core.engine import Outcome, Pool, Task
from clew.core.failpoints import failpoint
from clew.intake import said
from clew.intake.api import Claimed, Job, Session, Unavailable
from clew.intake.basis import Basis
from clew.intake.in_pass import NOTHING, InPass
from clew.intake.mediatype import RETYPED
from clew.intake.piece_traits import asked, of_emule
from clew.intake.refs import MEMBER, item_id
from clew.model import ContentState, ItemState, Missing, Reason

# What one Item may put into the case, whatever its worker says.
MOST_DETAIL, MOST_TRAITS, MOST_STORED = 1_000, 210_000, 64 << 20
# About how many bytes of Traits a batch holds before they are written; what one takes beside its text.
MOST_HELD, TRAIT = 64 << 20, 1_000
READ = "clew.intake.reading:read"
Due = tuple[str, list[dict[str, Any]]]  # a batch, and the listing rows of those of its Items that are to be read
_EARLIER = """
SELECT item, sha256, size, content_state, media_type FROM contents WHERE item IN (SELECT unnest($items)) ORDER BY size
"""
HASHED = "hashed, but then: "  # how the detail of an Item begins whose content is known all the same
LESS = Missing(
    Reason.UNREADABLE, "more of it could be read before than now: what was hashed then stays, and no less is taken in"
)
UNSURE = Missing(
    Reason.UNREADABLE,
    "it could be hashed in part only before, and nothing shows that what can be read now is the same file; that is not "
    "in the case: take the exhibit in once more, under another label",
)
ERASED = (
    "it read as zeros alone, or as bytes of 0xFF alone, as a drive gives what it was told to forget (TRIM): what the "
    "file held may be gone"
)
UNVOUCHED = "its clusters are free, and nothing shows that no other file held them meanwhile"
CHANGED = Missing(Reason.UNREADABLE, "its bytes are not those that were hashed before: the exhibit has changed")


@dataclass(frozen=True, slots=True)
class Look:
    """With what a batch is read. `versions` and `config` are what its receipt says."""

    extractors: tuple[str, ...]
    mode: str
    versions: str
    config: str


@dataclass(slots=True)
class Record:
    """What is known of one Item so far."""

    row: dict[str, Any]
    content: dict[str, Any] | None = None
    media_type: str | None = None
    missing: Missing | None = None
    traits: list[dict[str, Any]] = field(default_factory=list)
    stored: int = 0  # bytes of blobs and texts
    alone: bool = False  # its hashes were asked for again, without an Extractor
    checked: bool = False  # its bytes are held against others' hashes on their way: that too can end a worker
    earlier: list[dict[str, Any]] = field(default_factory=list)  # rows of `contents` of earlier attempts
    erased: bool = False  # its clusters, which were given back, hold what erased ones do
    unvouched: bool = False  # nothing vouches for its clusters
    beginning: bytes | None = None  # SHA-256 of as many of its first bytes as an earlier attempt had


@dataclass(slots=True)
class Batch:
    """One batch in hand. `left` are the Items that are still to be answered; `held` is what the others' Traits take in
    memory, `pending` where such Traits lie already, and `whole` the Contents whose Traits are all there.
    """

    id: str
    records: dict[str, Record] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    drawn: bool = False
    held: int = 0
    pending: list[shards.Pending] = field(default_factory=list)
    whole: set[bytes] = field(default_factory=set)


def _nobody_looks(_path: bytes, _seconds: float) -> None:
    """Where no progress is shown."""


@dataclass(slots=True)
class Reader:
    """Reads batches of one Exhibit and commits each as soon as it is complete."""

    case: Case
    exhibit: str
    session: Session
    look: Look
    basis: Basis
    told: Callable[[str, int, str], None]  # state, bytes and reason of one Item
    in_hand: Callable[[bytes, float], None] = _nobody_looks  # path of the Item longest in hand, and its seconds
    known_good: tuple[tuple[str, str], ...] = ()  # name and id of each of the workers' lists, in their order
    claimed: Mapping[str, Claimed] = field(default_factory=dict)  # of Items that are not live, by id
    in_pass: InPass = NOTHING
    _hands: dict[str, Batch] = field(default_factory=dict)

    def run(self, pool: Pool, batches: Iterable[Due | None], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Reads batches one after the other; None says that there is none just now. `meanwhile` is called after each
        Item that was handed out: the time to look for more of them.
        """
        waiting: list[Batch] = []
        self._hear(pool, pool.run(self._tasks(batches, waiting, meanwhile)), waiting)
        self._hear(pool, pool.run(self._unhashed(waiting)), waiting)

    def _hear(self, pool: Pool, outcomes: Iterable[Outcome], waiting: list[Batch]) -> None:
        for outcome in outcomes:
            self._take(self._hands[outcome.task.id], outcome)
            self._settle(waiting)
            self._tell_oldest(pool)
        self._settle(waiting)

    def _tell_oldest(self, pool: Pool) -> None:
        item, seconds = pool.oldest or ("", 0.0)
        batch = self._hands.get(item)
        self.in_hand(batch.records[item].row["path"] if batch else b"", seconds)

    def _tasks(
        self, batches: Iterable[Due | None], waiting: list[Batch], meanwhile: Callable[[], None]
    ) -> Iterator[Task | None]:
        for due in batches:
            if due is None:
                yield None
                continue
            name, rows = due
            batch = Batch(name, {row["item"]: Record(row) for row in rows})
            self._recall(batch.records)
            waiting.append(batch)
            for item, record in batch.records.items():
                try:
                    job = self.session.job(record.row["ref"])
                except Unavailable as gone:
                    record.missing = gone.missing
                    self.told(str(ItemState.UNREADABLE), 0, str(gone.missing.reason))
                    continue
                batch.left.add(item)
                self._hands[item] = batch
                payload = self._payload(record, job, self.look.extractors)
                payload["checks"] = asked(self.in_pass.checks(record.row["size"]))
                record.checked = bool(payload["checks"])
                yield Task(item, READ, payload, job.fds, max(record.row["size"], job.bytes))
                meanwhile()
            batch.drawn = True

    def _unhashed(self, waiting: list[Batch]) -> Iterator[Task]:
        """Items whose worker died over them before it had their hashes: once more, with no Extractor. What was said of
        them before is dropped: nobody hashed the bytes that it was said of.
        """
        for batch in list(waiting):
            for item in sorted(batch.left):
                record = batch.records[item]
                record.alone, record.traits, record.stored = True, [], 0
                try:
                    job = self.session.job(record.row["ref"])
                except Unavailable:  # why its worker died is told, and stays
                    self._done(batch, item)
                    continue
                size = max(record.row["size"], job.bytes)
                yield Task(item, READ, self._payload(record, job, ()), job.fds, size)

    def _payload(self, record: Record, job: Job, extractors: tuple[str, ...]) -> dict[str, Any]:
        row, claim = record.row, self._claim(record.row)
        record.unvouched = claim.unvouched
        wanted = {"size": row["size"], "state": str(claim.state), "extractors": extractors, "mode": self.look.mode}
        wanted["beginning"] = record.earlier[-1]["size"] if record.earlier else 0
        return {"opener": job.opener, "known_good": self.known_good, **wanted, **job.payload}

    def _claim(self, row: Mapping[str, Any]) -> Claimed:
        """What may be claimed of an Item before it is read; of what lies in an archive no more than of that."""
        listed = ContentState(row["content_state"])
        outermost, member, _ = row["ref"].partition(MEMBER)
        claim = self.claimed.get(item_id(self.exhibit, outermost))
        if claim is None or (member and listed is ContentState.PARTIAL):
            return Claimed(listed)
        return Claimed(listed) if member and claim.state is ContentState.COMPLETE else claim

    def _take(self, batch: Batch, outcome: Outcome) -> None:
        failpoint("intake.result.before")
        item, reply = outcome.task.id, outcome.reply
        record = batch.records[item]
        record.stored += 0 if isinstance(reply, Missing) else sum(map(len, reply.blobs))
        try:
            if isinstance(reply, Missing):
                record.missing = record.missing or Missing(reply.reason, reply.detail[:MOST_DETAIL])
            elif len(record.traits) > MOST_TRAITS or record.stored > MOST_STORED:
                record.missing = Missing(Reason.LIMIT_REACHED, "the worker's answers had no end")
            elif "content" in reply.value:
                record.content = said.content(reply.value["content"])
                record.beginning = said.beginning(reply.value.get("beginning"))
                record.erased = reply.value.get("erased") is True
                self._checked(record, reply.value.get("checks"))
            elif "type" in reply.value:
                record.media_type = said.media_type(reply.value["type"])
            else:
                rows = said.traits(reply.value, reply.blobs, self._store)
                record.traits += rows
                record.stored += sum(len(row["text"] or "") for row in rows)
        except said.WRONG as error:
            record.missing = Missing(Reason.UNPARSABLE, f"the worker's answer made no sense: {type(error).__name__}")
        if outcome.last:
            if record.content is None and record.missing is None:
                record.missing = Missing(Reason.UNREADABLE, "the worker ended without a content")
            again = record.checked or record.media_type is not None
            if record.content is not None or not again or record.alone:
                self._done(batch, item)

    def _checked(self, record: Record, found: Any) -> None:
        """What the bytes were held against on their way. Raises one of WRONG."""
        if found is not None and record.content is not None:
            traits = self.in_pass.traits(record.row["size"], found)
            record.content["ed2k"] = of_emule(traits)
            record.traits += traits

    def _done(self, batch: Batch, item: str) -> None:
        record = batch.records[item]
        record.traits += _retyped(record)
        batch.left.discard(item)
        del self._hands[item]
        state = ItemState.UNREADABLE if record.missing else ItemState.DONE
        self.told(str(state), record.row["size"], str(record.missing.reason) if record.missing else "")
        batch.held += record.stored + TRAIT * len(record.traits)
        if batch.held > MOST_HELD:
            self._put_down(batch)

    def _put_down(self, batch: Batch) -> None:
        """Writes the Traits of the Items that are answered, so that they are not all held until the last one is."""
        over = {item: record for item, record in batch.records.items() if record.traits and item not in batch.left}
        self._known(over)
        if rows := self._traits(over, batch.whole):
            batch.pending.append(shards.write(self.case, "traits", rows))
        for record in over.values():
            record.traits = []
        batch.held = 0

    def _store(self, data: bytes) -> bytes:
        return blobs.put(self.case.folder, data)

    def _settle(self, waiting: list[Batch]) -> None:
        for batch in [each for each in waiting if each.drawn and not each.left]:
            self._commit(batch)
            waiting.remove(batch)

    def _commit(self, batch: Batch) -> None:
        failpoint("intake.receipt.before")
        records = batch.records
        if any(record.missing for record in records.values()):
            self.session.check()
        known = self._known(records)
        pending = [shards.write(self.case, "contents", rows) for rows in (self._contents(records, known),) if rows]
        pending += [shards.write(self.case, "traits", rows) for rows in (self._traits(records, batch.whole),) if rows]
        pending += batch.pending
        states = [_final(item, record) for item, record in records.items()]
        look = self.look
        with self.case.write("intake") as tx:
            shards.commit(
                tx, stage="intake", batch=batch.id, versions=look.versions, config=look.config, pending=pending
            )
            sql = "UPDATE items SET state=?, reason=?, detail=?, attempts=attempts+1 WHERE id=?"
            tx.executemany(sql, states)
            failpoint("intake.receipt.inside")
            counts = Counter(state for state, _, _, _ in states)
            about = {"exhibit": self.exhibit, "batch": batch.id, "shards": [each.path for each in pending]}
            tx.record("batch.read", subject=about, counts=dict(counts), mandate=self.basis.require())
        failpoint("intake.receipt.after")

    def _contents(self, records: Mapping[str, Record], known: set[str]) -> list[dict[str, Any]]:
        return [
            {"item": item, "exhibit": self.exhibit, "media_type": record.media_type, **record.content}
            for item, record in records.items()
            if record.content is not None and item not in known
        ]

    def _recall(self, records: Mapping[str, Record]) -> None:
        """What earlier attempts hashed of these Items."""
        if tried := [item for item, record in records.items() if record.row.get("attempts")]:
            for row in shards.query(self.case, _EARLIER, {"items": tried}).to_pylist():
                records[row["item"]].earlier.append(row)

    def _known(self, records: Mapping[str, Record]) -> set[str]:
        """Items whose content is in the case already, or is not to come in: what was first read whole of one stays, and
        where its bytes are others now, that is said. What was read in part stays too, beside more of it.
        """
        for record in (each for each in records.values() if each.earlier):
            if why := _not_taken(record, recognised=self.session.acquisition is not None):
                record.content, record.traits, record.missing = None, [], why
        return {item for item, record in records.items() if _in_the_case(record)}

    def _traits(self, records: Mapping[str, Record], whole: set[bytes]) -> list[dict[str, Any]]:
        """Each Content's once, however many Items of this batch hold it, and not those of `whole`, which grows."""
        rows: list[dict[str, Any]] = []
        for record in records.values():
            if record.content is None or (record.content["sha256"] in whole and record.missing is None):
                continue
            if record.missing is None:
                whole.add(record.content["sha256"])
            rows += [{"content": record.content["sha256"], "mode": self.look.mode, **trait} for trait in record.traits]
        return rows


def _final(item: str, record: Record) -> tuple[str, str | None, str | None, str]:
    if record.missing is None:
        return str(ItemState.DONE), None, _doubt(record), item
    hashed = HASHED if record.content is not None or record.earlier else ""
    detail = hashed + record.missing.detail
    return str(ItemState.UNREADABLE), str(record.missing.reason), detail, item


def _doubt(record: Record) -> str | None:
    """Why what was read is overwritten possible, where that is said of it alone."""
    if record.erased:
        return ERASED
    now = record.content
    doubted = now is not None and now["content_state"] == ContentState.OVERWRITTEN_POSSIBLE
    return UNVOUCHED if doubted and record.unvouched else None


def _in_the_case(record: Record) -> bool:
    """Whether an earlier attempt read the same bytes, and no less of them, and claimed no more."""
    now = record.content
    if now is None:
        return False
    states = {row["content_state"] for row in record.earlier if row["sha256"] == now["sha256"]}
    if now["content_state"] == ContentState.OVERWRITTEN_POSSIBLE:
        return ContentState.OVERWRITTEN_POSSIBLE in states
    return bool(states) and (states != {ContentState.PARTIAL} or now["content_state"] == ContentState.PARTIAL)


def _retyped(record: Record) -> list[dict[str, Any]]:
    """The type that the same bytes have now, where it is not the one under which they are in the case, which stays."""
    now = record.content
    if now is None or record.media_type is None:
        return []
    types = {row["media_type"] for row in record.earlier if row["sha256"] == now["sha256"]}
    return [{**RETYPED, "text": record.media_type}] if types and record.media_type not in types else []


def _not_taken(record: Record, *, recognised: bool) -> Missing | None:
    """Why what was read now is not a content of this Item, beside what earlier attempts read of it. `recognised`: the
    Exhibit is an image that was shown to be the same one.
    """
    now, before = record.content, record.earlier
    if now is None or not before or now["sha256"] in {row["sha256"] for row in before}:
        return None
    if any(row["content_state"] != ContentState.PARTIAL for row in before):
        return LESS if now["content_state"] == ContentState.PARTIAL else CHANGED
    longest = before[-1]
    if now["size"] < longest["size"]:
        return LESS
    if now["size"] > longest["size"]:
        return None if not longest["size"] or record.beginning == longest["sha256"] else CHANGED
    return None if recognised else UNSURE  # zeros may have stood for what can be read now
