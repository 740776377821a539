"""An Exhibit of the case, opened once more: what every further look at its Contents begins with."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.core import clock, mandate, shards
from clew.core.case import Case
from clew.core.engine import Pool
from clew.core.lease import lease
from clew.intake.api import Session, Source
from clew.intake.expand import Archives
from clew.intake.options import Options
from clew.intake.tools import choose, open_pool, versions

OTHERS = "its bytes are others now: they have changed since intake, or more of them can be read than then"
WHERE = """
SELECT c.sha256, l.item, l.ref, l.size, l.content_state, l.exhibit
FROM contents c JOIN listings l USING (item)
WHERE c.sha256 IN (SELECT unnest($wanted)) AND ($exhibit IS NULL OR c.exhibit = $exhibit)
  AND ($apart IS NULL OR c.exhibit <> $apart)
ORDER BY c.sha256, c.content_state <> 'complete', l.name_state <> 'live', l.item
"""


@dataclass(frozen=True, slots=True)
class Reopened:
    """An open Exhibit and the workers that read it. `basis` is the Mandate, `made_with` what a receipt says."""

    session: Session
    pool: Pool
    basis: str
    made_with: str


@contextmanager
def reopened(
    case: Case, exhibit: str, specs: tuple[str, ...], options: Options, why: str, also: tuple[str, ...] = ()
) -> Iterator[Reopened]:
    """Opens an Exhibit for a look called `why`, with workers that know `specs` ("module:name" each) and have called
    `also`.

    Raises Refused without a Mandate that covers it, Held while another such look at it goes on.
    """
    held = case.read().execute("SELECT * FROM exhibits WHERE id=?", (exhibit,)).fetchone()
    basis = mandate.require(case, purpose="intake", at_ns=clock.now().utc_ns, exhibit=held["label"])
    path = Path(held["location"])
    source: Source = choose(path)
    with ExitStack() as stack:
        stack.enter_context(lease(case, "intake", f"{held['label']}, {why}"))
        session = stack.enter_context(closing(Archives(case, exhibit, source.open(path), options.budgets)))
        pool = stack.enter_context(open_pool(source, session, specs, options, also=also))
        yield Reopened(session, pool, basis.id, versions(source, specs))


def places(
    case: Case, contents: Iterable[bytes], exhibit: str | None = None, apart: str | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Exhibit -> the Items to read these Contents (SHA-256 each) from: each Content once, where it is wholest; in that
    one `exhibit` alone where one is given, and not in the one that is kept `apart`.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    had: set[bytes] = set()
    for row in shards.query(case, WHERE, {"wanted": list(contents), "exhibit": exhibit, "apart": apart}).to_pylist():
        if row["sha256"] not in had:
            had.add(row["sha256"])
            found.setdefault(row["exhibit"], []).append(row)
    return found
