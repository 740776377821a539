"""What of an Exhibit was read before it was set beside a Lead, and what was not, in sentences."""

from collections import Counter

from clew.attribute.artefacts import Artefacts
from clew.core import unheld
from clew.core.case import Case


def covered(case: Case, found: Artefacts, exhibit: str, not_held: int) -> tuple[str, ...]:
    """Each with the label; `not_held` as `unheld.counted` says."""
    label = case.read().execute("SELECT label FROM exhibits WHERE id=?", (exhibit,)).fetchone()["label"]
    sql = "SELECT state, reason, count(*) AS n FROM items WHERE exhibit=? GROUP BY state, reason ORDER BY state, reason"
    states = [
        f"{row['n']} {row['state']}{' (' + row['reason'] + ')' if row['reason'] else ''}"
        for row in case.read().execute(sql, (exhibit,))
    ]
    parts = "SELECT count(*) FROM exhibit_runs WHERE exhibit=? AND done_ns IS NULL"
    unfinished = case.read().execute(parts, (exhibit,)).fetchone()[0]
    kinds = [f"{count} {kind}" for kind, count in sorted(found.kinds.get(exhibit, Counter()).items())]
    lines = [f"{label}: items {', '.join(states) or 'none'}; artefacts read: {', '.join(kinds) or 'none'}"]
    lines += [f"{label}: {unfinished} parts of it are not listed to their end"] if unfinished else []
    unread = ", ".join(f"{count} {kind}" for kind, count in sorted(found.unread.get(exhibit, {}).items()))
    lines += [f"{label}: of clients, and not read: {unread}"] if unread else []
    lost = found.lost.get(exhibit, [])
    lines += [f"{label}: an artefact was not read whole: {each}" for each in lost[:5]]
    lines += [f"{label}: {len(lost) - 5} more artefacts were not read whole"] if len(lost) > 5 else []
    lines += [f"{label}: {unheld.words(not_held)}"] if not_held else []
    return tuple(lines)
