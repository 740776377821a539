"""An Exhibit of the case, opened once more: what every further look at its Contents begins with, and its record.

Months later another disk may lie at the same path, and most Exhibits in a store. So each is recognised before anything
in it is read or recorded, and those that are not at hand keep nobody from the others.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core import clock, shards
from clew.core.absent import Absent
from clew.core.case import Case, new_id
from clew.core.engine import Pool
from clew.core.errors import ClewError, Damaged
from clew.core.lease import lease
from clew.intake import custody, plugged
from clew.intake.api import Session, Source
from clew.intake.basis import Basis
from clew.intake.expand import Archives
from clew.intake.options import Options
from clew.intake.refs import MEMBER, order
from clew.intake.tools import choose, open_pool, versions

PIECES, SECOND = "pieces", "second look"  # what looks are called in leases
OTHERS = "its bytes are others now: they have changed since intake, or more of them can be read than then"
WHERE = """
SELECT c.sha256, l.item, l.ref, l.size, l.content_state, l.exhibit
FROM contents c JOIN listings l USING (item)
WHERE c.sha256 IN (SELECT unnest($wanted)) AND ($exhibit IS NULL OR c.exhibit = $exhibit)
  AND c.exhibit NOT IN (SELECT unnest($apart))
ORDER BY c.sha256, c.content_state <> 'complete', l.name_state <> 'live', contains(l.ref, $member), l.item
"""


@dataclass(frozen=True, slots=True)
class Reopened:
    """An open Exhibit and the workers that read it. `basis` is its Mandate, `made_with` what a receipt says."""

    session: Session
    pool: Pool
    basis: Basis
    made_with: str


@dataclass(frozen=True, slots=True)
class Looking:
    """What a look is called, for its lease and for the record. `behalf`: the Exhibit that it is made for, where that is
    another one. `beside`: programs of others that look at the same bytes, each with the isolation that it reached, as
    far as that is known once the look is over.
    """

    name: str
    called: str
    behalf: str | None = None
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@contextmanager
def reopened(
    case: Case, exhibit: str, specs: tuple[str, ...], options: Options, why: Looking, also: tuple[str, ...] = ()
) -> Iterator[Reopened]:
    """Opens an Exhibit for a look, with workers that know `specs` ("module:name" each) and have called `also`. That it
    was opened, how its parsers were isolated and what that did to it is recorded.

    Raises Refused without a Mandate that covers it, also once that has ended, and where another one lies in its place
    now; Held while another such look goes on; ClewError or OSError where it cannot be opened.
    """
    held = _held(case, exhibit)
    basis = Basis(case, held.label)
    path = Path(held.location)
    if not path.exists():
        raise plugged.gone(path, "nothing lies there")
    source: Source = choose(path)
    with ExitStack() as stack:
        stack.enter_context(lease(case, "intake", leased(held.label, why.name)))
        session = stack.enter_context(
            closing(Archives(case, exhibit, custody.opened(held, source, path), options.budgets))
        )
        custody.known(case, held, path, session)
        pool = stack.enter_context(open_pool(source, session, specs, options, also=also, may=basis.require))
        ready = Reopened(session, pool, basis, versions(source, specs))
        look = _began(case, exhibit, why, ready)
        try:
            yield ready
        finally:
            _ended(case, exhibit, look, why, ready)


def at_hand(
    case: Case,
    contents: Iterable[bytes],
    opening: Callable[[str], AbstractContextManager[Reopened]],
    use: Callable[[Reopened, str, list[dict[str, Any]]], None],
    failed: dict[str, str],
    *,
    exhibit: str | None = None,
    apart: Collection[str] = (),
) -> Exception | None:
    """Opens by `opening` one Exhibit after the other that these Contents (SHA-256 each) are to be read from, and has
    `use` do that: of its id and its rows of `places`.

    Where one cannot be opened, its Contents are read from others that hold them; of those that no other does, `failed`
    says why, by hexadecimal. What the first of them raised, where none at all could be opened. Raises what `use` does.
    """
    left, closed = list(contents), dict[str, Exception]()
    why: dict[bytes, str] = {}
    used = False
    while left:
        found, left = places(case, left, exhibit, [*apart, *closed]), []
        for place, rows in found.items():
            with ExitStack() as stack:
                try:
                    opened = stack.enter_context(opening(place))
                except Damaged:
                    raise
                except (ClewError, OSError, Absent) as error:
                    closed[place] = error
                    left += [row["sha256"] for row in rows]
                    said = f"{_held(case, place).label}: {error}"
                    why |= {row["sha256"]: why.get(row["sha256"], said) for row in rows}
                    continue
                used = True
                why = {content: said for content, said in why.items() if content not in {r["sha256"] for r in rows}}
                use(opened, place, rows)
    failed |= {content.hex(): said for content, said in why.items()}
    return None if used else next(iter(closed.values()), None)


def leased(label: str, look: str) -> str:
    """The subject of the lease that such a look at an Exhibit has."""
    return f"{label}, {look}"


def _held(case: Case, exhibit: str) -> custody.Held:
    label = case.read().execute("SELECT label FROM exhibits WHERE id=?", (exhibit,)).fetchone()["label"]
    held = custody.find(case, label)
    if held is None:
        raise Damaged(f"the exhibit {label!r} is gone", "restore the case from its archive")
    return held


def _began(case: Case, exhibit: str, why: Looking, opened: Reopened) -> str:
    look, layers = new_id(), {"workers": opened.pool.isolation}
    with case.write("intake") as tx:
        columns = "id, exhibit, look, started_ns, versions, isolation, mandate"
        values = (look, exhibit, why.called, clock.now().utc_ns, opened.made_with, json.dumps(layers), opened.basis.id)
        tx.execute(f"INSERT INTO intake_looks ({columns}) VALUES (?,?,?,?,?,?,?)", values)  # noqa: S608 - our own names
        about: dict[str, Any] = {"look": look, "exhibit": exhibit, "called": why.called}
        about |= {"versions": opened.made_with, "isolation": layers}
        about |= {"behalf": why.behalf} if why.behalf else {}
        tx.record("look.started", subject=about, mandate=opened.basis.id)
    return look


def _ended(case: Case, exhibit: str, look: str, why: Looking, opened: Reopened) -> None:
    layers, effects = {"workers": opened.pool.isolation, **why.beside}, opened.session.detail
    with case.write("intake") as tx:
        values = (clock.now().utc_ns, json.dumps(layers), json.dumps(effects), look)
        tx.execute("UPDATE intake_looks SET ended_ns=?, isolation=?, effects=? WHERE id=?", values)
        about = {"look": look, "exhibit": exhibit, "isolation": layers, "effects": effects}
        tx.record("look.ended", subject=about, mandate=opened.basis.id)


def places(
    case: Case, contents: Iterable[bytes], exhibit: str | None = None, apart: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Exhibit -> the Items to read these Contents (SHA-256 each) from, in the order in which reading goes onward: each
    Content once, where it is wholest; in that one `exhibit` alone where one is given, and in none that is kept `apart`.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    had: set[bytes] = set()
    asked = {"wanted": list(contents), "exhibit": exhibit, "apart": ["", *apart]}  # never empty: it would have no type
    asked["member"] = MEMBER
    for row in shards.query(case, WHERE, asked).to_pylist():
        if row["sha256"] not in had:
            had.add(row["sha256"])
            found.setdefault(row["exhibit"], []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: order(row["ref"]))
    return found
