"""`clew demo`: a whole training operation, from the first sighting to bundles that 26 forces open, against truth."""

import json
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from clew.cli import _demo_result, _demo_stages
from clew.cli._common import json_option
from clew.cli._demo_folder import demo_folder
from clew.cli._demo_stages import Outcome
from clew.core import keys
from clew.core.case import Case
from clew.core.errors import Exit, Usage
from clew.range import truth as truths
from clew.range.canary import canary_bytes
from clew.range.given import Given, make_given
from clew.range.items import account
from clew.range.operation import Operation
from clew.range.places import forces
from clew.range.report import write_report
from clew.range.scenario_file import parse, text_of
from clew.range.score import score

PLAIN_EVERY = 10.0


@click.command(
    "demo",
    epilog="\b\nExamples:\n  clew demo --out demo\n  clew demo --out demo --seed 7\n  clew demo --out demo --small\n"
    "  clew demo --out demo --scenario mine.toml",
)
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for everything.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Which operation (default: a fresh one, printed).")
@click.option("--small", is_flag=True, help="A smaller operation, in about a minute; not the one that is measured.")
@click.option("--scenario", default=None, help="A scenario file, or the name of a built-in one (default: full).")
@json_option
def demo(out: Path, seed: int | None, small: bool, scenario: str | None, as_json: bool) -> int:
    """Run a closed training operation and compare what was found with the truth.

    Everything happens on this machine's own 127.x addresses, with generated, benign media. Needs the extra "range".
    """
    _demand_extra()
    if small and scenario is not None:
        raise Usage("--small and --scenario both name a scenario", "give one of them")
    scenario_file = text_of(scenario or ("small" if small else "full"))
    parse(scenario_file)
    seed = secrets.randbelow(2**31) if seed is None else seed
    console = Console(stderr=as_json, highlight=False)
    with demo_folder(out) as folder:
        run = _Run(folder, seed, scenario_file, console)
        result = run.play()
        _demo_result.write_summary(result, folder)
    if as_json:
        click.echo(json.dumps(result.summary(), sort_keys=True))
    _tell(console, result, out)
    return Exit.DONE if result.holds() else Exit.FATAL


def _demand_extra() -> None:
    missing = [name for name in ("libtorrent", "mmdb_writer") if find_spec(name) is None]
    if missing:
        raise Usage(f"the range needs {' and '.join(missing)}", "install the extra: pip install 'clew[range]'")


class _Run:
    """One demo from beginning to end."""

    def __init__(self, folder: Path, seed: int, scenario_file: str, console: Console) -> None:
        self.folder, self.seed, self.scenario_file, self.console = folder, seed, scenario_file, console
        self.plan = parse(scenario_file)
        self.outcome = Outcome()
        self.began = time.monotonic()
        self.steps: list[tuple[str, float, float]] = []
        self._told = 0.0
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<20}"),
            TimeElapsedColumn(),
            BarColumn(12),
            TextColumn("{task.fields[say]}", table_column=Column(no_wrap=True, width=34)),
            console=console,
            disable=not console.is_terminal,
        )

    def play(self) -> _demo_result.Result:
        """The operation; everything that was started is stopped at the end, whatever happens."""
        self.console.print(f"clew demo: operation {self.seed}, in {self.folder}")
        operation = Operation.prepare(self.seed, self.scenario_file)
        with self.progress:
            given = self._prepare(operation)
            with operation:
                case, audit, truth = self._observe(operation, given)
            try:
                with self._step("attributing"):
                    _demo_stages.attribute_leads(case, given, self.outcome)
                return self._conclude(operation, case, audit, truth)
            finally:
                case.close()

    def _prepare(self, operation: Operation) -> Given:
        with self._step("making the range") as say:
            say("keys of 26 forces, registers, a seized disk")
            _demo_stages.make_keys(self.folder, [f.code for f in forces()])
            (self.folder / "given").mkdir()
            authority = keys.signing_key(_demo_stages.AUTHORITY, self.folder / "keys" / "authority")
            return make_given(
                operation.scenario,
                self.folder / "given",
                authority=authority,
                trackers=operation.trackers,
                disk=self.plan.disk,
            )

    def _observe(self, operation: Operation, given: Given) -> tuple[Case, dict[str, Any], dict[str, Any]]:
        """Observation, with the seized disk beside it: the stages share one case without waiting for each other."""
        case = _demo_stages.open_operation(self.folder, given)
        manifest = given.seizure.manifest if given.seizure else ()
        truth = truths.truth_of(operation.scenario, start_at=operation.go(), manifest=manifest)
        self.console.print(f"SHA-256 of the truth, before anything is observed:\n  {truths.digest(truth)}")
        beside = _Beside(lambda: self._disk(case, given))
        with self._step("observing", operation.scenario.timing.seconds) as say:
            _demo_stages.observe_swarm(case, operation, self.outcome, say)
        audit = operation.finish()
        beside.join()
        return case, audit, truth

    def _disk(self, case: Case, given: Given) -> None:
        if given.seizure is None:
            return
        with self._step("the seized disk") as say:
            _demo_stages.take_disk(case, given.seizure, self.outcome, say)

    def _conclude(
        self, operation: Operation, case: Case, audit: dict[str, Any], truth: dict[str, Any]
    ) -> _demo_result.Result:
        with self._step("demo reviewer grades"):
            _demo_stages.grade_exact(case, self.outcome)
        with self._step("26 bundles") as say:
            _demo_stages.share_all(self.folder, case, self.outcome, say)
        truths.write(truth, self.folder / "truth.json")
        with self._step("comparing with truth"):
            result = self._compare(operation, case, audit, truth)
        write_report(self.folder / "report.html", _demo_result.report_data(result, case))
        return replace(result, seconds=time.monotonic() - self.began)

    def _compare(
        self, operation: Operation, case: Case, audit: dict[str, Any], truth: dict[str, Any]
    ) -> _demo_result.Result:
        return _demo_result.Result(
            seed=self.seed,
            seconds=time.monotonic() - self.began,
            truth=truth,
            truth_sha256=truths.digest(truth),
            audit=audit,
            canary_bytes=canary_bytes(case.folder, operation.canary),
            account=account(case, truth["manifest"]),
            score=score(case, truth),
            outcome=self.outcome,
            hits=_count(case, "SELECT count(DISTINCT content) FROM hits WHERE kind='alert'"),
            series=_count(case, "SELECT count(*) FROM series"),
            dialled_outside=_count(case, "SELECT count(*) FROM dials WHERE address NOT LIKE '127.%'"),
            steps=self.steps,
        )

    @contextmanager
    def _step(self, name: str, seconds: float | None = None) -> Iterator[Callable[[str], None]]:
        """One line of progress; yields a function that says what goes on. With `seconds` the bar fills by the clock."""
        begin = time.monotonic() - self.began
        task = self.progress.add_task(name, total=seconds, say="")

        def say(words: str) -> None:
            passed = time.monotonic() - self.began - begin
            self.progress.update(task, say=words, completed=min(passed, seconds) if seconds else None)
            self._plainly(name, words)

        try:
            yield say
        finally:
            took = time.monotonic() - self.began - begin
            self.steps.append((name, begin, took))
            self.progress.update(task, total=took, completed=took)
            self.progress.stop_task(task)
            self._plainly(name, f"done in {took:.1f} s", now=True)

    def _plainly(self, name: str, words: str, *, now: bool = False) -> None:
        """Where there is no terminal to draw on: a line at each end of a step, and one every few seconds."""
        at = time.monotonic()
        if not self.console.is_terminal and (now or at - self._told > PLAIN_EVERY):
            self._told = at
            self.console.print(f"[{at - self.began:5.0f} s] {name}: {words}", markup=False)


class _Beside:
    """Runs one function in a thread; `join` waits for it and raises what it raised."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function,))
        self._thread.start()

    def join(self) -> None:
        """Waits for the end."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 — handed to whoever joins
            self._error = error


def _count(case: Case, sql: str) -> int:
    return int(case.read().execute(sql).fetchone()[0])


def _tell(console: Console, result: _demo_result.Result, out: Path) -> None:
    """The end of a demo: the table, what does not hold, and where to look on."""
    console.print(_demo_result.table(result))
    for line in result.troubles()[:20]:
        console.print(f"  [red]{escape(line)}[/]")
    console.print(f"{result.seconds:.0f} seconds. Truth: {out / 'truth.json'}  figures: {out / 'summary.json'}")
    console.print(f"Report:  {out / 'report.html'}")
    console.print(f"Review:  {_program()} review {out / 'case'} --scheme training")


def _program() -> str:
    """How this program is called from here: `clew` where the shell finds it, else its path."""
    here = Path(sys.argv[0])
    if here.name != "clew" or shutil.which("clew") is not None:
        return "clew"
    return os.path.relpath(here)


COMMAND = demo
