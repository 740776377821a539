"""match's loop: every Content of the case against every HashSet, again from the start each time.

A hit's id comes from what matched, so that a second run writes the same rows. Known-good by SHA-256 stands and may stop
further work; by md5 or sha1 it is only listed, and near matching never makes anything known-good.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from clew.core import clock, columns, mandate, pictures, plugins, shards, sorted_keys
from clew.core.case import Case, Transaction
from clew.core.errors import Damaged, Usage
from clew.core.lease import lease
from clew.core.printable import printable
from clew.core.unfinished import unfinished
from clew.match import hashsets, near
from clew.match.api import ALGORITHMS, ASKED, EXACT, MOST_PARTS, HitState, PartHit, Reader, Source, Summary
from clew.match.hashsets import Compiled
from clew.model import Category, HashSet, HashSetKind

PACKAGE = "clew.match.readers"
HEAD = 64 * 1024
BATCH = 5_000
CONTENTS = "SELECT DISTINCT sha256, sha1, md5 FROM contents WHERE size > 0 ORDER BY sha256"
COVERED = (
    ASKED,
    "near matching covers still pictures with a PDQ of quality 50 and above, pages of a TIFF and further pictures of a "
    "HEIF among them, as many as were hashed; of an animated picture the first frame alone; no video, no other media",
    "PhotoDNA values are carried, never matched",
)
FAST_ONLY = (
    "pictures hashed in fast mode with a quality of 50 to 79 may lie farther than 10 bits from exact mode: "
    "a near match of theirs can be missed until intake hashes them in exact mode"
)
BY_PART = "SELECT count(DISTINCT content) FROM hits WHERE part<>'' AND state='stands'"
PARTS = (
    "SELECT h.content, h.part, s.name, s.kind, h.distance FROM hits h JOIN hashsets s ON s.id=h.hashset"
    " WHERE h.part<>'' AND h.state='stands' ORDER BY h.kind, h.distance, h.content, h.hashset, h.entry LIMIT ?"
)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, order=True)
class _Hit:
    content: bytes
    algorithm: str
    distance: int
    mode: str
    row: int
    state: HitState
    part: str = ""


def add_hashset(case: Case, *, path: Path, name: str, kind: HashSetKind, reader: str | None = None) -> HashSet:
    """Reads a file of known hashes and compiles it into the case; adding the same again changes nothing.

    `kind` is said by a person, never guessed. Raises Usage for a format that no reader knows or a name that is taken,
    Refused where the file contradicts the kind, Damaged where it breaks; then nothing is added.
    """
    basis = mandate.require(case, purpose="match", at_ns=clock.now().utc_ns)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise Usage(f"{path} cannot be opened: {error.strerror}", "give the path of a hash list") from error
    with stream, lease(case, "match", f"hashset {name}"):
        plugin = _reader(stream, path, reader)
        sha256 = hashlib.file_digest(stream, "sha256").digest()
        stream.seek(0)
        source = Source(path, name, kind, f"{plugin.name} {plugin.version}")
        compiled = hashsets.compile_set(plugin.read(stream, kind), source, sha256, case.folder / "hashsets")
        taken = case.read().execute("SELECT id FROM hashsets WHERE name=?", (name,)).fetchone()
        if taken is not None and taken["id"] != compiled.id:
            raise Usage(f"another hash set is called {name!r}", "give it a name of its own, e.g. with its date")
        if taken is None:
            with case.write("match") as tx:
                _insert(tx, compiled, basis.id)
    return HashSet(compiled.id, name, kind, plugin.name, sha256, compiled.entries)


def dropped_of(case: Case, hashset: str) -> dict[str, int]:
    """What was dropped of a hash set when it was added, by reason."""
    row = case.read().execute("SELECT dropped FROM hashsets WHERE id=?", (hashset,)).fetchone()
    found: dict[str, int] = json.loads(row["dropped"]) if row else {}
    return found


def algorithms_of(case: Case, hashset: str) -> dict[str, int]:
    """How many hashes a hash set holds, by algorithm."""
    compiled = hashsets.load(case.folder / "hashsets" / hashset)
    held = {algorithm: len(compiled.keys[algorithm]) for algorithm in EXACT} | {"pdq": len(compiled.near_rows)}
    return {algorithm: count for algorithm, count in held.items() if count}


def entry_of(case: Case, hashset: str, entry: str) -> dict[str, Any]:
    """What the source says of the entry that a hit names: {"category": ..., "verbatim": ...}."""
    return hashsets.load(case.folder / "hashsets" / hashset).entry(int(entry))


def match(case: Case, *, progress: Callable[[int, int], None] | None = None) -> Summary:
    """Matches every Content with every HashSet. `progress(done, of)` counts HashSets.

    `Summary.wants_exact` lists the Contents whose near hits wait for intake's exact mode; then call `confirm`. Raises
    Refused without a Mandate for "match", Held while another run goes on, Damaged where a compiled set was changed.
    """
    basis = mandate.require(case, purpose="match", at_ns=clock.now().utc_ns)
    with lease(case, "match", case.settings.id):
        known = _compiled(case)
        contents, seen = _contents(case), pictures.read(case)
        unsure: set[bytes] = set()
        for n, each in enumerate(known, 1):
            _store(case, each, _hits(each, contents, seen, unsure), basis.id)
            if progress:
                progress(n, len(known))
        return _summary(case, known, len(contents["sha256"]), seen, unsure)


def confirm(case: Case) -> Summary:
    """Looks again at the near hits that wait, now that intake has hashed their Contents in exact mode.

    A hit within 31 bits by exact mode stands with that distance; one farther away is taken back, and counted in the
    ledger. What intake could not hash again goes on waiting.
    """
    return match(case)


def _reader(stream: BinaryIO, path: Path, named: str | None) -> Reader:
    if named is not None:
        chosen: Reader = plugins.load(PACKAGE, named)
        return chosen
    head = stream.read(HEAD)
    stream.seek(0)
    for plugin in plugins.load_all(PACKAGE).values():
        if plugin.recognises(head):
            found: Reader = plugin
            return found
    raise Usage(f"no reader knows the format of {path}", f"name one with --reader: {', '.join(plugins.names(PACKAGE))}")


def _insert(tx: Transaction, compiled: Compiled, basis: str) -> None:
    tx.execute(
        "INSERT INTO hashsets (id, name, kind, reader, source_sha256, entries, dropped, folder, added_ns) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        (
            compiled.id, compiled.name, compiled.kind.value, compiled.reader, compiled.source_sha256, compiled.entries,
            json.dumps(compiled.dropped), f"hashsets/{compiled.id}", clock.now().utc_ns,
        ),
    )  # fmt: skip
    about: dict[str, Any] = {
        "hashset": compiled.id,
        "name": compiled.name,
        "kind": compiled.kind.value,
        "reader": compiled.reader,
    }
    about |= {"source": compiled.source_sha256.hex(), "dropped": compiled.dropped}
    counts = {"entries": compiled.entries, "dropped": sum(compiled.dropped.values())}
    tx.record("hashset.added", subject=about, counts=counts, mandate=basis)


def _compiled(case: Case) -> list[Compiled]:
    """Every HashSet of the case, its files checked against their SHA-256."""
    rows = case.read().execute("SELECT id, folder FROM hashsets ORDER BY id").fetchall()
    found = []
    for row in rows:
        each = hashsets.load(case.folder / row["folder"], check=True)
        if each.id != row["id"]:
            raise Damaged(f"{row['folder']} is not the hash set that was added", "restore the case from its archive")
        found.append(each)
    return found


def _contents(case: Case) -> dict[str, Array]:
    table = shards.query(case, CONTENTS)
    return {algorithm: columns.fixed(table[algorithm], ALGORITHMS[algorithm]) for algorithm in EXACT}


def _hits(each: Compiled, contents: Mapping[str, Array], seen: pictures.Pictures, unsure: set[bytes]) -> list[_Hit]:
    """All hits with one set, the strongest algorithm for each pair of Content and entry.

    `unsure` gets the Contents of which the picture that is shown is a candidate, also where a page of it stands.
    """
    agreeing: dict[tuple[bytes, int], set[str]] = {}
    for algorithm in EXACT:
        found = sorted_keys.lookup(each.keys[algorithm], contents[algorithm])
        rows = np.asarray(each.rows[algorithm][found.at], np.int64)
        for query, row in zip(found.query.tolist(), rows.tolist(), strict=True):
            agreeing.setdefault((contents["sha256"][query].tobytes(), row), set()).add(algorithm)
    hits = [_exact_hit(each, content, row, agree) for (content, row), agree in agreeing.items()]
    if each.near is not None and each.kind is not HashSetKind.KNOWN_GOOD:
        found_near = near.search(seen, each.near, each.near_rows)
        near_hits = [_near_hit(seen, one) for one in near.best(seen, found_near)]
        hits += [hit for hit in near_hits if (hit.content, hit.row) not in agreeing]
        doubtful = (n for n in found_near if not (n.exact or seen.part[n.picture]))
        pairs = ((seen.content[n.picture].tobytes(), n.row) for n in doubtful)
        unsure.update(content for content, row in pairs if (content, row) not in agreeing)
    return sorted(hits)


def _near_hit(seen: pictures.Pictures, one: near.Near) -> _Hit:
    mode, state = ("exact", HitState.STANDS) if one.exact else ("fast", HitState.WANTS_EXACT)
    content = seen.content[one.picture].tobytes()
    return _Hit(content, "pdq", one.distance, mode, one.row, state, seen.said(one.picture))


def _exact_hit(each: Compiled, content: bytes, row: int, agree: set[str]) -> _Hit:
    carried = [a for bit, a in enumerate(ALGORITHMS) if int(each.carries[row]) >> bit & 1 and a in EXACT]
    algorithm = next(a for a in EXACT if a in agree)
    if set(carried) - agree:
        state = HitState.CONTRADICTED
    elif each.kind is HashSetKind.KNOWN_GOOD and algorithm != "sha256":
        state = HitState.LISTED
    else:
        state = HitState.STANDS
    return _Hit(content, algorithm, 0, "", row, state)


def _store(case: Case, each: Compiled, hits: Sequence[_Hit], basis: str) -> None:
    """Brings the table to exactly these hits of one set, in bounded transactions; the ledger keeps what changed."""
    wanted = {_hit_id(each, hit): hit for hit in hits}
    there = {
        row["id"]: (row["distance"], row["mode"], row["state"], row["part"])
        for row in case.read().execute("SELECT id, distance, mode, state, part FROM hits WHERE hashset=?", (each.id,))
    }
    gone = sorted(set(there) - set(wanted))
    new = [(i, h) for i, h in wanted.items() if there.get(i) != (h.distance, h.mode, h.state.value, h.part)]
    for start in range(0, len(gone), BATCH):
        with case.write("match") as tx:
            tx.executemany("DELETE FROM hits WHERE id=?", [(i,) for i in gone[start : start + BATCH]])
            tx.record("hits.taken back", subject={"hashset": each.id}, counts={"hits": len(gone)}, mandate=basis)
    for start in range(0, len(new), BATCH):
        part = new[start : start + BATCH]
        with case.write("match") as tx:
            tx.executemany(
                "INSERT OR REPLACE INTO hits (id, content, hashset, algorithm, distance, mode, kind, scheme, country, "
                "version, code, entry, state, part) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                list(_rows(each, part)),
            )
            states = Counter(hit.state.value for _, hit in part)
            tx.record("hits.found", subject={"hashset": each.id}, counts=dict(states), mandate=basis)
    if not gone and not new:
        with case.write("match") as tx:
            tx.record("hits.unchanged", subject={"hashset": each.id}, counts={"hits": len(there)}, mandate=basis)


def _rows(each: Compiled, part: Sequence[tuple[str, _Hit]]) -> Iterator[tuple[Any, ...]]:
    for hit_id, hit in part:
        category = each.category(hit.row) or Category("", "", "", "")
        key = (category.scheme, category.country, category.version, category.code)
        told = key if category.code else (None, None, None, None)
        yield (
            hit_id, hit.content, each.id, hit.algorithm, hit.distance, hit.mode, each.kind.value, *told, str(hit.row),
            hit.state.value, hit.part,
        )  # fmt: skip


def _hit_id(each: Compiled, hit: _Hit) -> str:
    """The same match always has the same id: its Content, set, algorithm and entry."""
    text = "\x00".join(("clew", "hit", hit.content.hex(), each.id, hit.algorithm, str(hit.row)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unfinished(case: Case) -> Iterator[str]:
    """That there is more than was matched."""
    if labels := unfinished(case):
        yield printable(f"not at their end, so that what they still hold was not matched: {', '.join(labels)}")


def _summary(
    case: Case, known: Sequence[Compiled], contents: int, seen: pictures.Pictures, unsure: set[bytes]
) -> Summary:
    conn = case.read()
    by_kind = "SELECT kind, count(*) AS n, count(DISTINCT content) AS c FROM hits GROUP BY kind ORDER BY kind"
    kinds = conn.execute(by_kind).fetchall()
    states = conn.execute("SELECT state, count(*) AS n FROM hits GROUP BY state ORDER BY state")
    waiting = conn.execute("SELECT DISTINCT content FROM hits WHERE state=?", (HitState.WANTS_EXACT.value,))
    doubtful = bool(np.any(~seen.exact & (seen.quality < 80)))
    return Summary(
        contents=contents,
        hashsets=len(known),
        hits={row["kind"]: row["n"] for row in kinds},
        contents_hit={row["kind"]: row["c"] for row in kinds},
        states={row["state"]: row["n"] for row in states},
        near_searched=len(seen),
        near_excluded=seen.excluded,
        by_part=conn.execute(BY_PART).fetchone()[0],
        parts=tuple(PartHit(*row) for row in conn.execute(PARTS, (MOST_PARTS,))),
        wants_exact=tuple(sorted(unsure.union(bytes(row["content"]) for row in waiting))),
        covered=COVERED + ((FAST_ONLY,) if doubtful else ()) + tuple(_unfinished(case)),
    )
