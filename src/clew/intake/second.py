"""The second look: Contents that are in the case already, read again so that a person sees an exact picture hash."""

import hashlib
import os
from collections import defaultdict
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core import clock, mandate, shards
from clew.core.case import Case
from clew.core.engine import Pool, Task
from clew.core.lease import lease
from clew.intake import said
from clew.intake.api import EXACT, Session, Unavailable
from clew.intake.options import Options
from clew.intake.reading import find
from clew.intake.tools import EXTRACTORS, choose, open_pool, versions
from clew.intake.work import READ
from clew.model import Missing, Reason

EXTRACTOR = f"{EXTRACTORS}.pdq:PLUGIN"  # the one that knows an exact mode
TRAIT = "pdq"
MOST = 2_000  # contents of one receipt

_WHERE = """
SELECT c.sha256, l.item, l.ref, l.size, l.content_state, l.exhibit
FROM contents c JOIN listings l USING (item)
WHERE c.sha256 IN (SELECT unnest($wanted))
  AND c.sha256 NOT IN (SELECT content FROM traits WHERE name='pdq' AND mode='exact' AND data IS NOT NULL)
ORDER BY c.sha256, c.content_state <> 'complete', l.name_state <> 'live', l.item
"""


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
    by_exhibit: dict[str, dict[bytes, dict[str, Any]]] = defaultdict(dict)
    had: set[bytes] = set()
    for row in shards.query(case, _WHERE, {"wanted": contents}).to_pylist():
        if row["sha256"] not in had:
            had.add(row["sha256"])
            by_exhibit[row["exhibit"]][row["sha256"]] = row
    for exhibit, rows in by_exhibit.items():
        _exhibit(case, exhibit, list(rows.values()), chosen, looked)
    return looked


def _exhibit(case: Case, exhibit: str, rows: list[dict[str, Any]], options: Options, looked: Looked) -> None:
    held = case.read().execute("SELECT * FROM exhibits WHERE id=?", (exhibit,)).fetchone()
    basis = mandate.require(case, purpose="intake", at_ns=clock.now().utc_ns, exhibit=held["label"])
    path = Path(held["location"])
    source = choose(path)
    with ExitStack() as stack:
        stack.enter_context(lease(case, "intake", f"{held['label']}, second look"))
        session = stack.enter_context(closing(source.open(path)))
        pool = stack.enter_context(open_pool(source, session, (EXTRACTOR,), options))
        for at in range(0, len(rows), MOST):
            traits = _read(pool, session, rows[at : at + MOST], looked)
            _commit(case, versions(source, (EXTRACTOR,)), basis.id, exhibit, traits)


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
