"""The second look: Contents that are in the case already, read again so that a person sees an exact picture hash."""

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.engine import Pool, Task
from clew.intake import said
from clew.intake.again import places, reopened
from clew.intake.api import EXACT, Session, Unavailable
from clew.intake.reading import find
from clew.intake.summary import Options
from clew.intake.tools import EXTRACTORS
from clew.intake.work import READ
from clew.model import Missing, Reason

EXTRACTOR = f"{EXTRACTORS}.pdq:PLUGIN"  # the one that knows an exact mode
TRAIT = "pdq"
MOST = 2_000  # contents of one receipt

_HAVE = "SELECT DISTINCT content FROM traits WHERE name='pdq' AND mode='exact' AND data IS NOT NULL"


@dataclass(slots=True)
class Looked:
    """What a second look did. `failed` says why for each content (hexadecimal) that has no exact hash now."""

    asked: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def exact(case: Case, contents: list[bytes], *, options: Options | None = None) -> Looked:
    """Reads these Contents (SHA-256 each) again and adds their `pdq` Traits in exact mode. Those that have them are
    left.

    Raises Refused without a Mandate that covers their Exhibits, Held while another second look goes on.
    """
    chosen = options or Options(workers=os.cpu_count() or 1)
    looked = Looked(asked=len(contents))
    have = {row["content"] for row in shards.query(case, _HAVE).to_pylist()}
    for exhibit, rows in places(case, [each for each in contents if each not in have]).items():
        with reopened(case, exhibit, (EXTRACTOR,), chosen, "second look") as again:
            for at in range(0, len(rows), MOST):
                traits = _read(again.pool, again.session, rows[at : at + MOST], looked)
                _commit(case, again.made_with, again.basis, exhibit, traits)
    return looked


def _read(
    pool: Pool, session: Session, rows: list[dict[str, Any]], looked: Looked
) -> dict[bytes, list[dict[str, Any]]]:
    """Trait rows by content; where it could not be read, the one Missing that says why."""
    wanted = {row["item"]: row for row in rows}
    traits: dict[bytes, list[dict[str, Any]]] = {row["sha256"]: [] for row in rows}
    failed: dict[bytes, Missing] = {}

    def tasks() -> Any:
        for item, row in wanted.items():
            try:
                job = session.job(row["ref"])
            except Unavailable as gone:
                failed[row["sha256"]] = gone.missing
                continue
            payload = {"size": row["size"], "state": row["content_state"], "extractors": [EXTRACTOR], "mode": EXACT}
            yield Task(item, READ, {"opener": job.opener, **payload, **job.payload}, job.fds, row["size"])

    for outcome in pool.run(tasks()):
        sha256, reply = wanted[outcome.task.id]["sha256"], outcome.reply
        try:
            if isinstance(reply, Missing):
                failed[sha256] = reply
            elif "content" in reply.value and said.content(reply.value["content"])["sha256"] != sha256:
                failed[sha256] = Missing(Reason.UNREADABLE, "the exhibit's bytes have changed since intake")
            elif "traits" in reply.value:
                traits[sha256] += said.traits(reply.value, (), _no_blob)
        except said.WRONG as error:
            failed[sha256] = Missing(Reason.UNPARSABLE, f"the worker's answer made no sense: {type(error).__name__}")
    plugin = find(EXTRACTOR)
    for sha256, missing in failed.items():
        values = {"missing": str(missing.reason), "detail": missing.detail}
        traits[sha256] = [{"name": TRAIT, **values, "extractor": plugin.name, "version": plugin.version}]
        looked.failed[sha256.hex()] = str(missing)
    looked.done += len(rows) - len(failed)
    return traits


def _commit(case: Case, made_with: str, basis: str, exhibit: str, traits: dict[bytes, list[dict[str, Any]]]) -> None:
    said = sorted((sha256.hex(), repr(found)) for sha256, found in traits.items())  # a failed look may be tried again
    batch = hashlib.sha256(f"exact\n{said}".encode()).hexdigest()[:32]
    rows = [{"content": sha256, "mode": EXACT, **trait} for sha256, found in traits.items() for trait in found]
    if shards.done(case, stage="intake", batch=batch, versions=made_with, config=EXACT):
        return
    pending = [shards.write(case, "traits", rows)] if rows else []
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch=batch, versions=made_with, config=EXACT, pending=pending)
        about = {"exhibit": exhibit, "batch": batch, "contents": [sha256.hex() for sha256 in traits]}
        tx.record("contents.looked at again", subject=about, counts={"contents": len(traits)}, mandate=basis)


def _no_blob(_data: bytes) -> bytes:
    raise ValueError("a second look hands back no blobs")
