"""intake's loop: custody, then enumeration, then reading; each step resumes where a killed run left it."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from clew.core import clock, mandate, shards
from clew.core.case import Case, new_id
from clew.core.engine import Pool, Task
from clew.core.errors import ClewError, Usage
from clew.core.lease import lease
from clew.core.progress import Progress
from clew.intake import custody
from clew.intake.account import account
from clew.intake.api import FAST, Session, Source
from clew.intake.expand import Archives
from clew.intake.listing import Lister, listed
from clew.intake.second import exact
from clew.intake.summary import Options, Summary, isolation_words
from clew.intake.tools import asking, choose, extractors, open_pool, versions
from clew.intake.work import Look, Reader
from clew.model import ItemState, Missing

__all__ = ["exact", "intake"]


def intake(
    case: Case,
    *,
    path: Path,
    label: str,
    workers: int = 0,
    progress: Progress | None = None,
    options: Options | None = None,
) -> Summary:
    """Takes in the Exhibit at `path` under `label`; run again, it goes on. `workers` 0: one a processor.

    Raises Refused without a Mandate that covers it, Held while another run has it, Usage where nothing can open it.
    """
    began = clock.now()
    chosen = options or Options()
    chosen = replace(chosen, workers=workers or chosen.workers or os.cpu_count() or 1)
    basis = mandate.require(case, purpose="intake", at_ns=began.utc_ns, exhibit=label)
    if not path.exists():
        raise Usage(f"there is nothing at {path}", "give the folder or disk image to take in")
    if case.folder.resolve().is_relative_to(path.resolve()):
        raise Usage("the case lies inside what is to be taken in", "keep the case on another disk than the evidence")
    with ExitStack() as stack:
        stack.enter_context(lease(case, "intake", label))
        bar = stack.enter_context(progress or Progress(f"intake of {label}", quiet=True))
        source = choose(path)
        held = custody.enter(case, label, path, source, chosen.seizure, basis.id)
        run = Run(case, held, source, chosen, basis.id, bar)
        isolation, effects, doubted = run.go(path)
    sha256 = case.read().execute("SELECT sha256 FROM exhibits WHERE id=?", (held.id,)).fetchone()["sha256"]
    return Summary(
        held.id,
        label,
        held.kind,
        sha256.hex() if sha256 else None,
        account(case, held.id),
        isolation,
        effects,
        doubted,
        (clock.now().mono_ns - began.mono_ns) / 1e9,
    )


@dataclass(slots=True)
class Run:
    """One run over one Exhibit."""

    case: Case
    held: custody.Held
    source: Source
    options: Options
    mandate: str
    bar: Progress

    def go(self, path: Path) -> tuple[dict[str, Any], dict[str, Any], int]:
        """Lists, reads, retries where asked. Returns isolation, effects on the evidence, and how many Items are in
        doubt.
        """
        specs = extractors() if self.options.extractors is None else self.options.extractors
        look = Look(specs, FAST, versions(self.source, specs), FAST)
        with ExitStack() as stack:
            opened = self.source.open(path)
            session = stack.enter_context(closing(Archives(self.case, self.held.id, opened, self.options.budgets)))
            pool = stack.enter_context(open_pool(self.source, session, specs, self.options))
            run = self._begin(pool, look)
            self.bar.isolation(isolation_words(pool.isolation))
            ask = asking(pool)
            self._acquire(pool, session)
            size = self.options.batch
            lister = Lister(self.case, self.held.id, self.source, self.mandate, size, self._listed)
            lister.run(session, ask)
            self._totals()
            doubted = session.doubts(self._deleted(), ask)
            reader = Reader(self.case, self.held.id, session, look, self.mandate, self._read, doubted)
            reader.run(pool, self._due(look))
            if self.options.retry:
                reader.run(pool, self._failed())
            while session.next_round():
                lister.run(session, ask)
                self._totals()
                reader.run(pool, self._due(look))
            self._end(run, session)
            return pool.isolation, session.detail, len(doubted)

    def _begin(self, pool: Pool, look: Look) -> str:
        run = new_id()
        config = {"workers": self.options.workers, "versions": look.versions, "retry": self.options.retry}
        config["archives"] = asdict(self.options.budgets)
        with self.case.write("intake") as tx:
            layers, now = json.dumps(pool.isolation), clock.now().utc_ns
            values = (run, self.held.id, now, json.dumps(config), layers, self.mandate)
            sql = "INSERT INTO intake_runs (id, exhibit, started_ns, config, isolation, mandate) VALUES (?,?,?,?,?,?)"
            tx.execute(sql, values)
            about = {"run": run, "exhibit": self.held.id, "isolation": pool.isolation, **config}
            tx.record("intake.started", subject=about, mandate=self.mandate)
        return run

    def _acquire(self, pool: Pool, session: Session) -> None:
        """The digest of the whole image, once."""
        if session.acquisition is None or self.held.sha256 is not None:
            return
        job = session.acquisition
        for outcome in pool.run([Task(self.held.id, job.opener, job.payload, job.fds, job.payload["size"])]):
            if isinstance(outcome.reply, Missing):
                raise ClewError(
                    f"the image cannot be read whole: {outcome.reply}",
                    "copy the medium with a tool that records bad sectors, and take in the copy",
                )
            if "read" in outcome.reply.value:
                self.bar.advance(bytes=int(outcome.reply.value["read"]))
            else:
                custody.acquired(self.case, self.held.id, outcome.reply.value, self.mandate)

    def _end(self, run: str, session: Session) -> None:
        found = account(self.case, self.held.id)
        counts = {"discovered": found.discovered, "done": found.done, "unreadable": found.unreadable}
        with self.case.write("intake") as tx:
            values = (clock.now().utc_ns, json.dumps(session.detail), run)
            tx.execute("UPDATE intake_runs SET ended_ns=?, effects=? WHERE id=?", values)
            about = {"run": run, "exhibit": self.held.id, "effects": session.detail}
            tx.record("intake.ended", subject=about, counts={**counts, "skipped": found.skipped}, mandate=self.mandate)
        if not found.balanced:
            raise ClewError(
                f"the account does not balance: {found.words()}", "run the same command again; if it stays, report it"
            )

    def _due(self, look: Look) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Batches without a receipt for these versions, with their open Items, in the order in which they were made."""
        sql = "SELECT id FROM batches WHERE exhibit=? ORDER BY made_ns, id"
        for row in self.case.read().execute(sql, (self.held.id,)).fetchall():
            if not shards.done(self.case, stage="intake", batch=row["id"], versions=look.versions, config=look.config):
                yield row["id"], self._members(row["id"], closed=False)

    def _members(self, batch: str, *, closed: bool) -> list[dict[str, Any]]:
        """Listing rows of a batch's Items to be read: the open ones, and with `closed` only those that failed."""
        sql = "SELECT id, state, attempts, detail FROM items WHERE batch=?"
        items = {row["id"]: row for row in self.case.read().execute(sql, (batch,))}
        wanted = {ItemState.UNREADABLE} if closed else {ItemState.OPEN, ItemState.DONE, ItemState.UNREADABLE}
        return [
            row | {"attempts": items[row["item"]]["attempts"]}
            for row in listed(self.case, batch)
            if items[row["item"]]["state"] in wanted
            and (items[row["item"]]["state"] == ItemState.OPEN or items[row["item"]]["attempts"])
        ]

    def _failed(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """What was tried and failed, as batches of their own: the receipt of the first attempt stays as it is."""
        sql = "SELECT DISTINCT batch FROM items WHERE exhibit=? AND state='unreadable' AND attempts>0 ORDER BY batch"
        for row in self.case.read().execute(sql, (self.held.id,)).fetchall():
            members = self._members(row["batch"], closed=True)
            name = "\n".join(f"{member['item']} {member['attempts']}" for member in members)
            yield hashlib.sha256(f"retry\n{name}".encode()).hexdigest()[:32], members

    def _deleted(self) -> dict[str, str]:
        sql = (
            "SELECT item, ref FROM listings WHERE exhibit=? AND name_state <> 'live' AND content_state <> 'unreadable'"
        )
        return {row["item"]: row["ref"] for row in shards.query(self.case, sql, (self.held.id,)).to_pylist()}

    def _totals(self) -> None:
        sql = "SELECT count(*) AS n, total(size) AS size FROM items WHERE exhibit=? AND state='open'"
        row = self.case.read().execute(sql, (self.held.id,)).fetchone()
        self.bar.items = self.bar.bytes = 0
        self.bar.total_items, self.bar.total_bytes = row["n"], int(row["size"])

    def _listed(self, items: int, _size: int) -> None:
        self.bar.in_hand("still enumerating")
        self.bar.advance(items=items)

    def _read(self, state: str, size: int, reason: str) -> None:
        self.bar.in_hand("")
        self.bar.advance(items=1, bytes=size)
        if state == ItemState.UNREADABLE:
            self.bar.error(reason)
