"""The one sequential read of a whole image, for its digests: in stints, each from where the last one ended.

Of a copy it is due once more, since the first one's digest says nothing of it (`custody.compared`). An archive
that is an Exhibit is read as its Item: the digests of that are the image's.
"""

import json
from collections.abc import Sequence
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.engine import Pool, Task
from clew.core.errors import ClewError, Damaged
from clew.core.failpoints import failpoint
from clew.core.progress import Progress
from clew.intake import custody, identity, said
from clew.intake.api import Job
from clew.intake.basis import Basis
from clew.intake.custody import Held
from clew.intake.refs import item_id
from clew.intake.seizure import agreement
from clew.model import Missing

RESUME = "resume"  # where in exhibits.acquisition the state lies while the read goes on
OF = "resume_of"  # and of which copy, in which state, it is: another one is begun anew
MOST_STATE = (64 << 10) + said.MOST_RANGES * 50  # characters of JSON: two numbers a range, of up to 19 digits
MOST_WHY = 1000
_WHOLE = """
SELECT DISTINCT sha256, sha1, md5, size FROM contents WHERE item=$item AND size=$size AND content_state='complete'
"""


def acquire(
    case: Case, held: Held, job: Job, pool: Pool, bar: Progress, basis: Basis, files: Sequence[Any] = ()
) -> None:
    """Reads the image behind `job` to its end and records its digests; goes on where a stopped run was. `files`: the
    name and bytes of each file that it lies in, in order, where they are several.

    Raises ClewError where it cannot be read whole, Refused where an `untied` one has another digest.
    """
    stamp = identity.stamp(held.location, held.identity or [])
    state = held.acquisition.get(RESUME) if held.acquisition.get(OF) == stamp else None
    kept = {name: value for name, value in held.acquisition.items() if name not in {RESUME, OF}}
    kept = kept if held.untied else {name: kept[name] for name in kept.keys() & {custody.UNDIGESTED}}
    beside = kept | {OF: stamp}
    bar.begin(bytes=job.payload["size"])
    bar.in_hand("reading the image once for its digests")
    if state is not None:
        bar.advance(bytes=state["offset"])
    while True:
        end, after = _stint(case, held, job, pool, bar, state, beside)
        if isinstance(end, dict) and held.untied:
            _compared(case, held, end, kept, basis.require())
            return
        if isinstance(end, dict) and "unopened" in end:
            known = kept | ({RESUME: after, OF: stamp} if after is not None else {})
            _unopened(case, held, known | {"unopened": str(end["unopened"])[:MOST_WHY]})
            return
        if isinstance(end, dict):
            _acquired(case, held.id, end, files, kept, basis.require())
            return
        if after == state:
            raise ClewError(
                f"the image cannot be read whole: {end or 'its reader ended without a digest'}",
                "copy the medium with a tool that records bad sectors, and take in the copy",
            )
        state = after


def as_item(case: Case, held: Held, job: Job, ref: str, basis: Basis) -> bool:
    """Records as digests of the image behind `job` those of the Item `ref`, which is the image as it is. False where it
    was not read whole, or what was read may be an earlier state of it: then a read for the digests alone is due. Raises
    Refused where no Mandate covers it any more.
    """
    asked = {"item": item_id(held.id, ref), "size": job.payload["size"]}
    rows = shards.query(case, _WHOLE, asked).to_pylist()
    if len(rows) != 1 or custody.UNDIGESTED in held.acquisition:
        return False
    answer = {name: value.hex() if isinstance(value, bytes) else value for name, value in rows[0].items()}
    _acquired(case, held.id, {**answer, "bad": []}, (), {}, basis.require())
    return True


def _unopened(case: Case, held: Held, known: dict[str, Any]) -> None:
    """It has no digest, and the account says so, whatever can be listed of it."""
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET acquisition=? WHERE id=?", (json.dumps(known), held.id))


def _compared(case: Case, held: Held, answer: dict[str, Any], kept: dict[str, Any], mandate: str) -> None:
    """Raises ClewError where it could not be read whole, Damaged, and what `custody.compared` does."""
    if why := answer.get("unopened"):
        raise ClewError(
            f"{held.location} cannot be held against the digest of {held.label!r}: {str(why)[:MOST_WHY]}",
            "give a copy that can be read whole",
        )
    try:
        digests, _, _ = said.acquisition(answer)
    except said.WRONG as error:
        raise Damaged("the worker's answer about the image's digest made no sense", "run it again") from error
    failpoint("acquisition.end.before")
    custody.compared(case, held, digests["sha256"], kept, mandate)


def _stint(
    case: Case,
    held: Held,
    job: Job,
    pool: Pool,
    bar: Progress,
    state: dict[str, Any] | None,
    beside: dict[str, Any],
) -> tuple[dict[str, Any] | Missing | None, dict[str, Any] | None]:
    """What the read ended with, if it did, and the last state. Raises Damaged for an answer that makes no sense."""
    payload = {**job.payload, RESUME: state} if state is not None else job.payload
    end: dict[str, Any] | Missing | None = None
    for outcome in pool.run([Task(held.id, job.opener, payload, job.fds, max(payload["size"], job.bytes))]):
        match outcome.reply:
            case Missing() as missing:
                end = missing
            case reply if not isinstance(reply.value, dict):
                end = None
            case reply if "read" in reply.value:
                bar.advance(bytes=_number(reply.value["read"]))
            case reply if "state" in reply.value:
                state = _save(case, held, reply.value["state"], beside)
            case reply:
                end = reply.value
    return end, state


def _save(case: Case, held: Held, state: Any, beside: dict[str, Any]) -> dict[str, Any]:
    """Keeps how far the read is, so that a run that is killed goes on there."""
    if not isinstance(state, dict) or len(json.dumps(state)) > MOST_STATE:
        raise Damaged("the worker's state of the image's digest made no sense", "run it again")
    _number(state.get("offset"))
    failpoint("acquisition.state.before")
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET acquisition=? WHERE id=?", (json.dumps({**beside, RESUME: state}), held.id))
    failpoint("acquisition.state.after")
    return state


def _acquired(
    case: Case, exhibit: str, answer: dict[str, Any], files: Sequence[Any], kept: dict[str, Any], mandate: str
) -> None:
    """Records the digests of the whole image, and what its container says of itself. Raises Damaged."""
    try:
        digests, size, learnt = said.acquisition(answer)
    except said.WRONG as error:
        raise Damaged("the worker's answer about the image's digest made no sense", "run it again") from error
    learnt |= {"files": list(files)} if files else {}
    failpoint("acquisition.end.before")
    with case.write("intake") as tx:
        values = (digests["sha256"], digests["sha1"], digests["md5"], size, json.dumps(learnt | kept), exhibit)
        tx.execute("UPDATE exhibits SET sha256=?, sha1=?, md5=?, size=?, acquisition=? WHERE id=?", values)
        stated = json.loads(tx.execute("SELECT stated FROM exhibits WHERE id=?", (exhibit,)).fetchone()["stated"])
        about = {"exhibit": exhibit, **{name: value.hex() for name, value in digests.items()}, "size": size, **learnt}
        about["stated_agree"] = agreement(stated, digests)
        counts = {"bytes": size, "bad": sum(length for _, length in learnt["bad"])}
        counts |= {"stored digests": len(learnt["agree"]), "that agree": sum(learnt["agree"].values())}
        tx.record("exhibit.acquired", subject=about, counts=counts, mandate=mandate)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise Damaged("the worker's answer about the image's digest made no sense", "run it again")
    return value
