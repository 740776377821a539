"""A second look: Contents that are in the case already, read again for what intake does not ask of everything.

`exact` gives a picture the exact hash that a person is shown; `dense.py` asks for all frames of a video.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.engine import Task
from clew.core.progress import Progress
from clew.intake import said
from clew.intake.again import OTHERS, SECOND, Looking, Reopened, at_hand, reopened
from clew.intake.api import EXACT, Session, Unavailable
from clew.intake.options import Options
from clew.intake.reading import find
from clew.intake.tools import EXTRACTORS
from clew.intake.work import MOST_TRAITS, READ
from clew.model import Missing, Reason


def _no_blob(_data: bytes) -> bytes:
    raise ValueError("a second look hands back no blobs")


def _traits_alone(_content: bytes, value: dict[str, Any], _blobs: tuple[bytes, ...]) -> list[dict[str, Any]]:
    return said.traits(value, (), _no_blob)


def _without_blobs(content: bytes, value: dict[str, Any], _blobs: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Of what makes a contact sheet beside its hashes, which the first look has stored."""
    return _traits_alone(content, {**value, "traits": [trait for trait in value["traits"] if "blob" not in trait]}, ())


def _never_late(_may: Callable[[], object], _over: bool) -> Iterable[tuple[bytes, list[dict[str, Any]]]]:
    return ()


@dataclass(frozen=True, slots=True)
class Again:
    """One kind of second look: what one Extractor is asked in which mode.

    `called` is what a person is told meanwhile; `trait` is what a content gets as Missing where it failed; `had`
    selects the contents that need no such look (SQL); `asked` is what the worker is told beside the mode; `most` are
    the contents of one receipt; `preload` is what its workers import or call beside the Extractor's module. `hear`
    makes Trait rows of an answer and its blobs, or has another program asked about them: `late` gives rows of that by
    content, those that there are or, where all was heard (`over`), all that are to come; it calls `may` while it waits.
    `beside` is how isolated such programs were, see `Looking`.
    """

    mode: str
    extractor: str
    trait: str
    had: str
    most: int
    asked: Mapping[str, Any] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    hear: Callable[[bytes, dict[str, Any], tuple[bytes, ...]], list[dict[str, Any]]] = field(default=_traits_alone)
    late: Callable[[Callable[[], object], bool], Iterable[tuple[bytes, list[dict[str, Any]]]]] = field(
        default=_never_late
    )
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    called: str = "a second look"

    @property
    def config(self) -> str:
        """For the receipt."""
        return " ".join([self.mode, *(f"{name}={value}" for name, value in self.asked.items())])


@dataclass(slots=True)
class Looked:
    """What a second look did. `failed` says why for each content (hexadecimal) that does not have now what was asked
    for.
    """

    asked: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)


EXACTLY = Again(
    mode=EXACT,
    extractor=f"{EXTRACTORS}.pdq:PLUGIN",
    trait="pdq",
    had="SELECT content FROM traits WHERE name='pdq' AND mode='exact' AND data IS NOT NULL",
    most=2_000,
)
_FURTHER = "SELECT DISTINCT content FROM traits WHERE name='video.pdq' AND extractor='further' AND data IS NOT NULL"
FURTHER = Again(
    mode=EXACT,
    extractor=f"{EXTRACTORS}.further:PLUGIN",
    trait="video.pdq",
    had=f"{_FURTHER} AND mode='exact'",
    most=200,
    hear=_without_blobs,
)


def exact(case: Case, contents: list[bytes], *, options: Options | None = None) -> Looked:
    """Gives these Contents (SHA-256 each) their `pdq` Traits in exact mode, and those that hold further pictures of
    which a hash is known theirs too. See `look`; what it counts are looks here, of which such a Content has two.
    """
    chosen = options or Options(workers=os.cpu_count() or 1)
    several = {row["content"] for row in shards.query(case, _FURTHER).to_pylist()}
    first = look(case, contents, EXACTLY, chosen)
    further = look(case, [each for each in contents if each in several], FURTHER, chosen)
    return Looked(first.asked + further.asked, first.done + further.done, first.failed | further.failed)


def look(
    case: Case,
    contents: list[bytes],
    again: Again,
    options: Options,
    exhibit: str | None = None,
    bar: Progress | None = None,
) -> Looked:
    """Reads these Contents (SHA-256 each) again and adds what is asked for. Those that have it are left, and where one
    `exhibit` (id) is given, those that it does not hold: no other one is opened then. It tells the `bar` how far it is.

    Where an Exhibit is not at hand, or no Mandate covers it, its Contents are read from another one or left; where that
    is so of all of them, raises what `again.reopened` does.
    """
    looked = Looked(asked=len(contents))
    have = {row["content"] for row in shards.query(case, again.had).to_pylist()}
    bar = bar or Progress(again.called, quiet=True)
    why = Looking(SECOND, f"{again.trait}, {again.config}", beside=again.beside)

    def opening(place: str) -> AbstractContextManager[Reopened]:
        return reopened(case, place, (again.extractor,), options, why, again.preload)

    def use(opened: Reopened, place: str, rows: list[dict[str, Any]]) -> None:
        for at in range(0, len(rows), again.most):
            traits = _read(opened, rows[at : at + again.most], again, looked, bar)
            _commit(case, opened.made_with, opened.basis.require(), place, again, traits)

    due = [each for each in contents if each not in have]
    with bar.aside(again.called, items=len(due)) if due else nullcontext():
        if (none := at_hand(case, due, opening, use, looked.failed, exhibit=exhibit)) is not None:
            raise none
    return looked


def _read(
    opened: Reopened, rows: list[dict[str, Any]], again: Again, looked: Looked, bar: Progress
) -> dict[bytes, list[dict[str, Any]]]:
    """Trait rows by content; where it could not be read, the one Missing that says why."""
    wanted = {row["sha256"].hex(): row for row in rows}  # several may be of one Item: read in part, then whole
    traits: dict[bytes, list[dict[str, Any]]] = {row["sha256"]: [] for row in rows}
    same: set[bytes] = set()
    failed: dict[bytes, Missing] = {}
    before = bar.items
    for outcome in opened.pool.run(_tasks(opened.session, wanted, again, failed)):
        sha256, reply = wanted[outcome.task.id]["sha256"], outcome.reply
        try:
            if isinstance(reply, Missing):
                failed.setdefault(sha256, reply)
            elif "content" in reply.value:
                if said.content(reply.value["content"])["sha256"] == sha256:
                    same.add(sha256)
            elif "traits" in reply.value and len(traits[sha256]) <= MOST_TRAITS:
                traits[sha256] += again.hear(sha256, reply.value, reply.blobs)
        except said.WRONG as error:
            failed[sha256] = Missing(Reason.UNPARSABLE, f"the worker's answer made no sense: {type(error).__name__}")
            same.discard(sha256)
        bar.advance(items=int(outcome.last and bool(traits[sha256] or sha256 in failed)))
        _add_late(traits, again.late(opened.basis.require, False), bar)
    _add_late(traits, again.late(opened.basis.require, True), bar)
    bar.advance(items=before + len(rows) - bar.items)  # those of which nothing was said
    for sha256, found in traits.items():
        if sha256 not in same:
            found.clear()
            failed.setdefault(sha256, Missing(Reason.UNREADABLE, OTHERS))
        elif not found:
            failed.setdefault(sha256, Missing(Reason.NOT_APPLICABLE, f"no {again.trait} of a content of its type"))
    plugin = find(again.extractor)
    for sha256, missing in failed.items():
        values = {"missing": str(missing.reason), "detail": missing.detail}
        traits[sha256].append({"name": again.trait, **values, "extractor": plugin.name, "version": plugin.version})
        looked.failed[sha256.hex()] = str(missing)
    looked.done += len(rows) - len(failed)
    return traits


def _add_late(
    traits: dict[bytes, list[dict[str, Any]]], late: Iterable[tuple[bytes, list[dict[str, Any]]]], bar: Progress
) -> None:
    for content, rows in late:
        traits[content] += rows
        bar.advance(items=1)


def _tasks(
    session: Session, wanted: dict[str, dict[str, Any]], again: Again, failed: dict[bytes, Missing]
) -> Iterator[Task]:
    for content, row in wanted.items():
        try:
            job = session.job(row["ref"])
        except Unavailable as gone:
            failed[row["sha256"]] = gone.missing
            continue
        payload = {"size": row["size"], "state": row["content_state"], "extractors": [again.extractor]}
        payload |= {"mode": again.mode, "opener": job.opener, **again.asked, **job.payload}
        yield Task(content, READ, payload, job.fds, max(row["size"], job.bytes))


def _commit(
    case: Case, made_with: str, basis: str, exhibit: str, again: Again, traits: dict[bytes, list[dict[str, Any]]]
) -> None:
    name = hashlib.sha256(again.config.encode())
    for sha256 in sorted(traits):
        name.update(repr((sha256.hex(), traits[sha256])).encode())  # a failed look may be tried again
    batch = name.hexdigest()[:32]
    rows = [{"content": sha256, "mode": again.mode, **trait} for sha256, found in traits.items() for trait in found]
    if shards.done(case, stage="intake", batch=batch, versions=made_with, config=again.config):
        return
    pending = [shards.write(case, "traits", rows)] if rows else []
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch=batch, versions=made_with, config=again.config, pending=pending)
        about = {"exhibit": exhibit, "batch": batch, "contents": [sha256.hex() for sha256 in traits]}
        tx.record("contents.looked at again", subject=about, counts={"contents": len(traits)}, mandate=basis)
