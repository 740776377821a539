"""How a run's facts get into the case: intents before, sightings after, each batch in one transaction."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from clew.core import shards
from clew.core.case import Case, Transaction, new_id
from clew.core.clock import Instant
from clew.core.compact import ENOUGH, SIGHTINGS, compact
from clew.core.errors import Damaged
from clew.core.failpoints import failpoint
from clew.core.questions import KEPT
from clew.model import SightingKind, Tier
from clew.observe import asked
from clew.observe.announces import Round
from clew.observe.book import Book
from clew.observe.endpoints import INSERT, row
from clew.observe.gaps import Gaps
from clew.observe.probes import CLEAN, PROMISCUOUS
from clew.observe.rows import Run
from clew.observe.steady import Steady
from clew.observe.wire import Call

INTENT, INTERRUPTED, NOT_MADE = "intent", "interrupted", "not made"
KILLED = "the run ended before the result was kept"
OF_THE_CASE = ("gaps", "clock_set")  # of a summary's coverage: `core.interruptions` reads them of all runs at any time
NAMED = ("gossiped", "listed", "presumed")  # of `Account.of_ourselves`: how often others named us
TAKE_BACK = "DELETE FROM observe_gaps WHERE run=? AND from_ns BETWEEN ? AND ? AND why=?"
# Over MSE a control probe can only come out clean (docs/decisions/0021).
PROBE_AGAIN = """
UPDATE endpoints SET control=NULL WHERE control=? AND (address, port) IN (
  SELECT address, port FROM dials WHERE kind='control' AND state='done'
  GROUP BY address, port HAVING min(transport LIKE 'mse%'))
"""
ROWS = 4_000  # of a shard that is not merged any more while observing: some 10 MB in memory, packed 50 times as well
LASTING = frozenset((SightingKind.CONTROL, SightingKind.OURSELVES))


class Keeper:
    """The one writer of the observer's tables while a run goes on."""

    def __init__(self, case: Case, run: Run, book: Book, gaps: Gaps) -> None:
        self._case, self._run, self._book, self._gaps = case, run, book, gaps
        self._rows: list[dict[str, Any]] = []
        self._ended: list[tuple[str, str | None, int, str]] = []
        self._dials: Counter[str] = Counter()  # of them, by the Mandate they were made under; "" where none was
        self._asked: list[tuple[int | None, int, str, bytes]] = []
        self._first_lists: dict[str, int] = {}
        self._sequence = 0
        self._covered: Mapping[str, Mapping[str, Any]] = {}
        self._shards = 0  # that came since they were merged

    @property
    def waiting(self) -> int:
        """How much the next `flush` would write."""
        return len(self._rows) + len(self._ended)

    def keep(self, sighting: dict[str, Any]) -> None:
        """Takes a sighting for the next flush, and gives it its number in this run."""
        self._sequence += 1
        sighting["sequence"] = self._sequence
        self._rows.append(sighting)

    def ended(self, dial: str, state: str, detail: str | None, heard_ns: int, mandate: str) -> None:
        """Takes what became of a dial for the next flush, and until when it may have been heard: 0 where it was not.

        `mandate` is the one that it was made under, "" where nothing was opened.
        """
        self._ended.append((state, detail, heard_ns, dial))
        self._dials[mandate] += 1

    def asked(self, one: Round, heard_ns: int | None) -> None:
        """Takes for the next flush that a question is over, and when it may have been heard, if at all."""
        self._asked.append((heard_ns, one.interval, *asked.key(one.tracker.url, one.infohash)))

    def told_of(self, watch: str, at_ns: int) -> None:
        """Takes for the next flush that a list came of who is there for this Watch: the first of the case is kept."""
        self._first_lists.setdefault(watch, at_ns)

    def intend(
        self,
        calls: list[tuple[Call, int | None]],
        at_ns: int,
        mandate: str | None,
        asking: Iterable[Round] = (),
        steady_ns: int = 0,
    ) -> None:
        """Commits that these connections will be opened, before any of them is, and what is asked so at `steady_ns`.

        All under one Mandate; None where none covers them now, so that none will be opened.
        """
        failpoint("observe.intent.before")
        counts: dict[str, int] = {}
        rows = []
        for call, endpoint in calls:
            wish = call.wish
            kind = f"{wish.kind} {wish.event}".strip()
            counts[kind] = counts.get(kind, 0) + 1
            place = (wish.watch, wish.address, wish.port)
            rows.append((call.id, self._run.id, endpoint, *place, kind, wish.transport, at_ns, INTENT, None, None))
        with self._case.write("observe") as tx:
            tx.executemany("INSERT INTO dials VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
            questions = [(*asked.key(each.tracker.url, each.infohash), each.interval, steady_ns) for each in asking]
            tx.executemany(asked.INTEND, questions)
            tx.record("contacts.intended", subject={"run": self._run.id}, counts=counts, mandate=mandate)
        failpoint("observe.intent.after")

    def flush(self, mandate: str | None, covered: Mapping[str, Mapping[str, Any]]) -> None:
        """Commits what was taken: shards, receipts, endpoints, dials and the ledger's entries in one transaction.

        An entry for each Mandate that calls were made under; where there were none, one under `mandate`. `covered` is
        what the run counted so far, of the limits that it came to, of ourselves and of lists that did not come: were it
        killed, nobody else could tell.
        """
        changed, gaps, none = self._book.changed(), self._gaps.take(), self._gaps.taken_back()
        if not (self._rows or self._ended or changed or gaps or none) and covered == self._covered:
            return
        lasting: list[dict[str, Any]] = []
        brief: list[dict[str, Any]] = []
        for each in self._rows:
            (lasting if self._lasts(each) else brief).append(each)
        failpoint("observe.receipt.before")
        pending = {
            name + new_id(): shards.write(self._case, "sightings", rows)
            for name, rows in ((shards.BRIEF, brief), ("contacts ", lasting))
            if rows
        }
        with self._case.write("observe") as tx:
            for batch, shard in pending.items():
                shards.commit(
                    tx, stage="observe", batch=batch, versions=self._run.tool, config=self._run.config, pending=[shard]
                )
            tx.executemany(INSERT, [row(each) for each in changed])
            tx.executemany(TAKE_BACK, [(self._run.id, *span) for span in none])
            tx.executemany(asked.ENDED, self._asked)
            tx.executemany("INSERT OR IGNORE INTO first_lists VALUES (?,?)", list(self._first_lists.items()))
            tx.executemany("UPDATE dials SET state=?, detail=?, heard_ns=? WHERE id=?", self._ended)
            tx.executemany(
                "INSERT OR REPLACE INTO observe_gaps VALUES (?,?,?,?)", [(self._run.id, *gap) for gap in gaps]
            )
            if covered != self._covered:
                text = json.dumps(covered, sort_keys=True)
                tx.execute("UPDATE observe_runs SET coverage=? WHERE id=?", (text, self._run.id))
            for basis, counts in self._counts().items() or [(mandate, {"dials": 0})]:
                tx.record("sightings.kept", subject={"run": self._run.id}, counts=counts, mandate=basis)
            failpoint("observe.receipt.inside")
        failpoint("observe.receipt.after")
        self._book.saved(changed)
        self._rows, self._ended, self._asked, self._covered = [], [], [], covered
        self._dials.clear()
        self._shards += len(pending)
        if self._shards >= ENOUGH:
            self._shards = 0
            merge(self._case, mandate)
        shards.give_back()

    def _lasts(self, row: dict[str, Any]) -> bool:
        """Whether a sighting is kept for good: also a contact that failed with who has answered, for it speaks
        against what a lead says of him.
        """
        if row["tier"] != Tier.LISTED or row["kind"] in LASTING:
            return True
        return row["kind"] == SightingKind.CONTACT and self._book.answered(row["watch"], row["address"], row["port"])

    def _counts(self) -> dict[str, dict[str, int]]:
        """What is kept now, by the Mandate that it was done under."""
        found = {mandate: {"dials": count} for mandate, count in self._dials.items()}
        for each in self._rows:
            counts = found.setdefault(each["mandate"], {"dials": 0})
            name = f"{each['kind']} {each['tier']}"
            counts[name] = counts.get(name, 0) + 1
        return found


def merge(case: Case, mandate: str | None = None) -> None:
    """Few larger shards in place of many small ones: each costs whoever reads them a millisecond and 90 KB.

    Where one is damaged, all stay as they are. Whoever reads the case is told so; nobody is watched less for it.
    """
    with suppress(Damaged):
        compact(case, mandate, kinds=SIGHTINGS, enough=ENOUGH, rows=ROWS)


def begin(
    case: Case,
    run: Run,
    policy: str,
    now: Instant,
    mandate: str,
    time: Steady,
    wait_ns: int,
    *,
    plain: bool = True,
) -> int:
    """Accounts for what an earlier run left behind, and begins this one; returns how many dials were interrupted.

    An interrupted dial may have reached its peer, so that endpoint is not called again before the end of the revisit
    interval (`wait_ns`) counted from now; nor is who was given up, or might not be called any more, where a run
    ended or anybody heard us less than the interval ago.
    Nobody waits longer than that because a clock was wrong in an earlier run.

    Where this run probes in `plain`text, whom earlier ones probed over MSE alone is unprobed.
    """
    now_ns = time.at(now)
    again_ns = now_ns + wait_ns
    with case.write("observe") as tx:
        left = tx.execute("SELECT id, endpoint FROM dials WHERE state=?", (INTENT,)).fetchall()
        values = (INTERRUPTED, KILLED, now_ns, INTENT)
        tx.execute("UPDATE dials SET state=?, detail=?, heard_ns=? WHERE state=?", values)
        tx.execute("UPDATE endpoints SET next_ns=MIN(next_ns, ?) WHERE next_ns IS NOT NULL", (again_ns,))
        tx.executemany(
            "UPDATE endpoints SET next_ns=? WHERE id=? AND next_ns IS NOT NULL",
            [(again_ns, each["endpoint"]) for each in left if each["endpoint"] is not None],
        )
        tx.execute(asked.BEGIN, (now_ns,))
        _close_killed(tx)
        if plain:
            tx.execute(PROBE_AGAIN, (CLEAN,))
        tx.execute(
            "UPDATE endpoints SET next_ns=?, failures=0 WHERE next_ns IS NULL AND failures + contacts > 0 "
            "AND control IS NOT ? "
            "AND (EXISTS (SELECT 1 FROM observe_runs WHERE ended_ns > ?) "
            "OR EXISTS (SELECT 1 FROM dials WHERE heard_ns > ?))",
            (again_ns, PROMISCUOUS, now.utc_ns - wait_ns, now_ns - wait_ns),
        )
        tx.execute(
            "INSERT INTO observe_runs (id, started_ns, config, vantage, mandate, boot, steady_ns, number) "
            "VALUES (?,?,?,?,?,?,?,(SELECT 1 + COALESCE(MAX(number), 0) FROM observe_runs))",
            (run.id, now.utc_ns, policy, run.vantage, mandate, time.boot, time.base_ns),
        )
        subject = {"run": run.id, "policy": policy, "vantage": run.vantage}
        tx.record("observing.began", subject=subject, counts={"interrupted": len(left)}, mandate=mandate)
        failpoint("observe.begin.inside")
    failpoint("observe.begin.after")
    return len(left)


def heard(case: Case, now: Instant, time: Steady, wait_ns: int) -> list[tuple[str, str, int, int]]:
    """Who may have heard us less than `wait_ns` ago, in an earlier run: (watch, address, port, monotonic ns), in order.

    From the dials, not from the queue, which is held against it. One without an end may be heard until now. Nobody
    waits longer than the interval because a clock was wrong in an earlier run.
    """
    sql = (
        "SELECT watch, address, port, MIN(MAX(COALESCE(heard_ns, :now)), :now) AS at_ns FROM dials "
        "WHERE kind = 'contact' AND COALESCE(heard_ns, :now) > :since GROUP BY watch, address, port ORDER BY at_ns"
    )
    now_ns = time.at(now)
    rows = case.read().execute(sql, {"now": now_ns, "since": now_ns - wait_ns})
    return [(*row[:3], now.mono_ns - (now_ns - row["at_ns"])) for row in rows]


def end(case: Case, run: Run, at_ns: int, summary: dict[str, Any], mandate: str | None) -> None:
    """Closes the run with what it covered, and without the gaps of all runs, which would then be kept with each.

    `mandate` is the one that all of it was done under, and that holds now; None where there is no such one.
    """
    covered = {name: said for name, said in summary["coverage"].items() if name not in OF_THE_CASE}
    covered |= {name: summary[name] for name in ("limits", "ourselves", KEPT)}
    with case.write("observe") as tx:
        values = (at_ns, json.dumps(covered, sort_keys=True), run.id)
        tx.execute("UPDATE observe_runs SET ended_ns=?, coverage=? WHERE id=?", values)
        counts = {name: summary[name] for name in ("contacts", "controls", "announces")}
        counts |= {f"ourselves {name}": summary["ourselves"][name] for name in NAMED}
        tx.record(
            "observing.ended", subject={"run": run.id, "stopped": summary["stopped"]}, counts=counts, mandate=mandate
        )
        failpoint("observe.end.inside")
    failpoint("observe.end.after")


def _close_killed(tx: Transaction) -> None:
    """A run that was killed ended, as far as we know, with its last dial."""
    tx.execute(
        "UPDATE observe_runs SET ended_ns=MAX(started_ns, COALESCE((SELECT MAX(intended_ns) FROM dials WHERE run="
        "observe_runs.id), started_ns)) WHERE ended_ns IS NULL"
    )
