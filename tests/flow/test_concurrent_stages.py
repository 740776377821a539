"""The real `clew intake`, the real `clew observe` and 1,000 grades at once on one case, every transaction timed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import mandate, shards, watch
from clew.core.case import Case
from clew.core.keys import public_hex
from clew.core.verify import verify_case
from clew.intake.account import account
from clew.review import grading, schemes

sys.path.insert(0, str(Path(__file__).parents[1] / "observe"))
from observe_case import MANDATE, watch_body
from observe_stage import Stage, answers, bitfield

GRADES, FILES, PEERS = 1_000, 12_000, 60
BATCH = 500  # items of one receipt of intake
PACE = GRADES * BATCH // FILES // 2 + 1  # grades after which intake has written once more
SLACK = 0.25  # seconds: what the scheduler of a loaded machine with two cores may add to a wait

# The command itself; around its transactions alone, two looks at the clock.
TIMED = """
import atexit, contextlib, json, sys, time
from pathlib import Path
from clew.core import db

spans, plain = [], db.immediate

@contextlib.contextmanager
def timed(conn, gate):
    begun = time.monotonic()
    with plain(conn, gate):
        yield
    spans.append((begun, time.monotonic()))

db.immediate = timed
out = Path(sys.argv.pop(1))
atexit.register(lambda: out.write_text(json.dumps(spans)))
from clew.cli.main import main
main()
"""


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    key = Ed25519PrivateKey.generate()
    made = Case.create(tmp_path / "case", operation="Test", force="AT", authority=public_hex(key), actor="wren")
    body = MANDATE | {"purposes": ["observe", "intake", "review"]}
    mandate.add(made, mandate.sign_document("mandate", body, key))
    watch.add(made, mandate.sign_document("watch", watch_body(), key))
    yield made
    made.close()


def command(spans: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", TIMED, str(spans), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def until(process: "subprocess.Popen[str]", case: Case, sql: str, least: int) -> None:
    """Waits until a count of the case has grown so far; the stage tells nobody but the case."""
    end = time.monotonic() + 60
    while case.read().execute(sql).fetchone()[0] < least:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, sql
        time.sleep(0.01)


def test_1000_grades_beside_the_real_stages(case: Case, tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    for number in range(FILES):
        folder = root / f"d{number % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(b"%PDF-1.4\n" + number.to_bytes(4, "big") * 64)  # of a type known at once
    contents = [os.urandom(32) for _ in range(GRADES)]
    infohash = bytes.fromhex(watch_body()["infohash_v1"])
    category = schemes.load("training").category("1")
    waits: list[tuple[float, float]] = []
    with Stage() as stage:
        peers = [stage.peer(f"127.23.0.{n + 1}", answers(bitfield(6, 7), torrents={infohash})) for n in range(PEERS)]
        tracker = stage.tracker("127.1.0.6", tells_stopped=True)
        tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers]
        rules = ("--tracker", tracker.url, "--interval", "0.5", "--json")
        taking = command(tmp_path / "i.json", "intake", str(case.folder), str(root), "--label", "F",
                         "--workers", "1", "--batch-items", str(BATCH), "--json")  # fmt: skip
        started = [taking]
        try:
            until(taking, case, "SELECT count(*) FROM items", 1)
            # now, since it settles within seconds, which intake may take for its first look
            observing = command(tmp_path / "o.json", "observe", str(case.folder), *rules)
            started.append(observing)
            until(observing, case, "SELECT count(*) FROM dials", 1)
            for number, content in enumerate(contents):
                if number % PACE == 0:  # all along the run, not in its first second alone
                    until(taking, case, "SELECT count(*) FROM receipts", 1 + number // PACE)
                asked = time.monotonic()
                grading.grade(case, "wren", content, category)
                waits.append((asked, time.monotonic()))
            seen_alive = observing.poll() is None
            if seen_alive:
                observing.send_signal(signal.SIGINT)
            told = [process.communicate(timeout=60) for process in (observing, taking)]
        finally:
            for process in started:
                process.kill()
    assert taking.returncode == 0, told[1]
    assert observing.returncode in (0, 130), told[0]
    assert "locked" not in "".join(err for _, err in told)

    bulk = {name: json.loads((tmp_path / name).read_text()) for name in ("o.json", "i.json")}
    longest = max(ended - begun for spans in bulk.values() for begun, ended in spans)
    slowest = max(ended - asked for asked, ended in waits)
    during = {name: sum(waits[0][0] < begun < waits[-1][1] for begun, _ in spans) for name, spans in bulk.items()}
    figures = (
        f"{GRADES} grades in {waits[-1][1] - waits[0][0]:.1f} s beside {during['i.json']} transactions of intake and "
        f"{during['o.json']} of observe, longest {longest * 1e3:.0f} ms; slowest grade {slowest * 1e3:.0f} ms"
    )
    print(figures)
    assert during["i.json"] >= FILES // BATCH, figures
    assert during["o.json"] >= 5, figures
    assert slowest <= longest + SLACK, figures
    assert case.read().execute("SELECT count(*) FROM standing_grades").fetchone()[0] == GRADES
    exhibit = case.read().execute("SELECT id FROM exhibits").fetchone()["id"]
    assert account(case, exhibit).done == FILES
    found = shards.query(case, "SELECT count(DISTINCT address) AS n FROM sightings WHERE kind = 'contact'")
    assert found.to_pylist() == [{"n": PEERS}]
    verify_case(case)
