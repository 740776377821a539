"""intake's loop: custody, then the acquisition of an image, then listing and reading side by side; each step resumes
where a killed run left it.
"""

import json
import os
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from clew.core import clock
from clew.core.case import Case, new_id
from clew.core.compact import OF_EXHIBITS, compact
from clew.core.engine import Pool
from clew.core.errors import ClewError, Usage
from clew.core.known_good import Stopping, stopping
from clew.core.lease import lease
from clew.core.progress import Progress
from clew.intake import batches, crossed, custody, exiftool, identity, relist, since
from clew.intake.account import account
from clew.intake.acquire import acquire, as_item
from clew.intake.api import FAST, Job, Session, Source
from clew.intake.basis import Basis
from clew.intake.course import Course
from clew.intake.expand import Archives
from clew.intake.in_pass import NOTHING, InPass
from clew.intake.listing import Lister
from clew.intake.options import Options
from clew.intake.piece_plan import called_for
from clew.intake.report import Report, report
from clew.intake.report_words import isolation_words
from clew.intake.second import exact
from clew.intake.seizure import complete
from clew.intake.telling import Telling
from clew.intake.tools import asking, choose, extractors, open_pool, versions
from clew.intake.typing_pass import second_types
from clew.intake.work import Look, Reader

__all__ = ["exact", "intake"]


def intake(
    case: Case,
    *,
    path: Path,
    label: str,
    workers: int = 0,
    progress: Progress | None = None,
    options: Options | None = None,
) -> Report:
    """Takes in the Exhibit at `path` under `label`; run again, it goes on. `workers` 0: one a processor.

    Raises Refused without a Mandate that covers it, also once that has ended, or where it is another one than was
    entered; Held while another run has it, Usage where nothing can open it.
    """
    chosen = options or Options()
    chosen = replace(chosen, workers=workers or chosen.workers or os.cpu_count() or 1)
    basis = Basis(case, label)
    if not path.exists():
        raise Usage(f"there is nothing at {path}", "give the folder or disk image to take in")
    if case.folder.resolve().is_relative_to(path.resolve()):
        raise Usage("the case lies inside what is to be taken in", "keep the case on another disk than the evidence")
    with ExitStack() as stack:
        stack.enter_context(lease(case, "intake", label))
        bar = stack.enter_context(progress or Progress(f"intake of {label}", quiet=True))
        source = choose(path)
        held = custody.enter(case, label, path, source, chosen.seizure, basis.id, moved=chosen.moved)
        lists = stack.enter_context(stopping(case))
        Run(case, held, source, chosen, basis, bar, lists).go(path)
        if chosen.extractors is None:
            bar.in_hand("second opinions on types and maker notes")
            second_types(case, chosen, held.id, bar)  # other exhibits need not be at hand now
            exiftool.ask(case, chosen, held.id, bar)
        compact(case, basis.require(), kinds=OF_EXHIBITS)
    return report(case, held.id)


@dataclass(slots=True)
class Run:
    """One run over one Exhibit. What known-good `lists` hold is not looked at beyond its hashes and type."""

    case: Case
    held: custody.Held
    source: Source
    options: Options
    basis: Basis
    bar: Progress
    lists: Stopping
    in_pass: InPass = NOTHING

    def go(self, path: Path) -> None:
        """Acquires, lists and reads; retries and looks again where asked."""
        specs = extractors() if self.options.extractors is None else self.options.extractors
        look = Look(specs, FAST, versions(self.source, specs), FAST)
        with ExitStack() as stack:
            opened = custody.opened(self.held, self.source, path)
            session = stack.enter_context(closing(Archives(self.case, self.held.id, opened, self.options.budgets)))
            self.held = custody.recognise(
                self.case, self.held, path, session, self.basis.require(), moved=self.options.moved
            )
            if not self.held.untied:
                complete(self.case, self.held.id, self.options.seizure, self.basis.require())
            self.in_pass = called_for(self.case, self.held.id, self.options)
            lists, may = self.lists.descriptors, self.basis.require
            pool = stack.enter_context(open_pool(self.source, session, specs, self.options, lists, may=may))
            run = self._begin(pool, look)
            self.bar.isolation(isolation_words(pool.isolation))
            if session.acquisition is not None and (self._undigested(session) or self.held.untied):
                self._acquire(session, session.acquisition, pool)
            self._read(pool, session, look)
            if session.acquisition is not None and self.held.sha256 is not None:
                self._undisturbed(session, session.acquisition, pool)
            self._end(run, session)

    def _undigested(self, session: Session) -> bool:
        """Whether it is to be read for its digests; those of an archive are its Item's, once that is read."""
        return self.held.sha256 is None and session.itself is None

    def _digest(self, session: Session, pool: Pool) -> None:
        """Takes the digests of what is one Item itself from that; where it cannot, reads it for them. Raises as those
        do.
        """
        job, ref = session.acquisition, session.itself
        if job is None or ref is None or self.held.sha256 is not None:
            return
        if as_item(self.case, self.held, job, ref, self.basis):
            self.held = custody.find(self.case, self.held.label) or self.held
        else:
            self._acquire(session, job, pool)

    def _acquire(self, session: Session, job: Job, pool: Pool) -> None:
        """Reads its digests. What is stated of the seizure of an `untied` one waits until it is known to be the one."""
        untied = self.held.untied
        try:
            acquire(self.case, self.held, job, pool, self.bar, self.basis, session.detail.get("segments", []))
        except ClewError:
            session.check()
            raise
        if untied:
            complete(self.case, self.held.id, self.options.seizure, self.basis.require())
        self.held = custody.find(self.case, self.held.label) or self.held

    def _undisturbed(self, session: Session, job: Job, pool: Pool) -> None:
        """Whoever wrote to the image after its digest was taken did so to what was read since. Raises Refused."""
        if identity.written(self.held.identity or [], session.held):
            session.check()
            self.held = custody.disturbed(self.case, self.held, session, self.basis.require())
            self._acquire(session, job, pool)

    def _read(self, pool: Pool, session: Archives, look: Look) -> None:
        """What the Source shows, then round by round what lies in the archives among it."""
        case, exhibit, told = self.case, self.held.id, Telling(self.bar)
        told.begin(case, exhibit)
        lister = Lister(case, exhibit, self.source, self.basis, self.options.batch, told.listed)
        known = tuple((each.name, each.id) for each in self.lists.known_good)
        reader = Reader(case, exhibit, session, look, self.basis, told.read, told.in_hand, known)
        reader.in_pass = self.in_pass
        course, ask = Course(case, exhibit, lister, reader, told.all_listed), asking(pool)
        if not session.held:
            self.bar.in_hand("holding the folder against its listing")
            since.compare(case, exhibit, session, ask, self.basis)
        if self.options.retry:  # what earlier runs lost: workers of this one may still hold what they read
            relist.reopen(case, exhibit, self.basis.require())
        if relist.reopen_names(case, exhibit, self.basis.require()):
            for _ in lister.steps(session, ask):
                pass  # to its end first: what gets another name is not read by the one that it had
        course.run(pool, session, ask)
        if self.options.retry:
            course.again(pool, session, ask, batches.failed(case, exhibit))
            session.retry()
        self._digest(session, pool)
        if self.options.again_known_good:
            reader.known_good = ()
            course.again(pool, session, ask, batches.stopped(case, exhibit, look))
        while session.next_round():
            for _ in lister.steps(session, ask):
                pass  # a round is listed to its end first: a solid archive would be unpacked anew for each way back
            course.run(pool, session, ask)
        crossed.judge(case, exhibit, lister.apart.values(), look, self.basis.require())

    def _begin(self, pool: Pool, look: Look) -> str:
        run = new_id()
        config: dict[str, Any] = {"workers": self.options.workers, "versions": look.versions}
        config |= {"retry": self.options.retry, "again_known_good": self.options.again_known_good}
        config["known_good"] = [{"name": each.name, "id": each.id} for each in self.lists.known_good]
        config["hashing"] = pool.hashing
        config["in_pass"] = self.in_pass.as_dict()
        config["archives"] = asdict(self.options.budgets)
        with self.case.write("intake") as tx:
            layers, now = json.dumps(pool.isolation), clock.now().utc_ns
            values = (run, self.held.id, now, json.dumps(config), layers, self.basis.require())
            sql = "INSERT INTO intake_runs (id, exhibit, started_ns, config, isolation, mandate) VALUES (?,?,?,?,?,?)"
            tx.execute(sql, values)
            about = {"run": run, "exhibit": self.held.id, "isolation": pool.isolation, **config}
            tx.record("intake.started", subject=about, mandate=self.basis.id)
        return run

    def _end(self, run: str, session: Session) -> None:
        found = account(self.case, self.held.id)
        counts = {"discovered": found.discovered, "done": found.done, "unreadable": found.unreadable}
        with self.case.write("intake") as tx:
            values = (clock.now().utc_ns, json.dumps(session.detail), run)
            tx.execute("UPDATE intake_runs SET ended_ns=?, effects=? WHERE id=?", values)
            about = {"run": run, "exhibit": self.held.id, "effects": session.detail}
            counts["skipped"] = found.skipped
            tx.record("intake.ended", subject=about, counts=counts, mandate=self.basis.require())
        if not found.balanced:
            raise ClewError(
                f"the account does not balance: {found.words()}", "run the same command again; if it stays, report it"
            )
