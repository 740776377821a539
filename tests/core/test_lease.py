"""One run per stage and subject; the second is told who holds it; a dead holder's lease is taken over."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clew.cli.main import cli
from clew.core.case import Case
from clew.core.errors import Held, Usage
from clew.core.lease import lease

HOLDER = """
import sys, time
from pathlib import Path
from clew.core.case import Case
from clew.core.lease import lease
with lease(Case.open(Path(sys.argv[1]), actor="the other one"), "intake", "E-1"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(case: Case):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(case.folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_and_told_who_holds_it(case: Case, holder: subprocess.Popen) -> None:
    with pytest.raises(Held, match=f"process {holder.pid} .*the other one"), lease(case, "intake", "E-1"):
        pass


def test_other_stages_and_exhibits_go_on_side_by_side(case: Case, holder: subprocess.Popen) -> None:
    with lease(case, "intake", "E-2"), lease(case, "observe", "E-1"):
        assert case.read().execute("SELECT count(*) FROM leases").fetchone()[0] == 3


def test_a_dead_holders_lease_is_taken_over_and_recorded(case: Case, holder: subprocess.Popen) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lease(case, "intake", "E-1"):
        pass
    lines = [row[0] for row in case.read().execute("SELECT line FROM ledger")]
    assert any('"lease.taken over"' in line for line in lines)
    assert case.read().execute("SELECT count(*) FROM leases").fetchone()[0] == 0


def test_a_process_that_got_the_dead_ones_number_is_not_mistaken_for_it(case: Case) -> None:
    with case.write("core") as tx, tx.gate.core():
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        row = ("intake", "E-1", "gone", os.getpid(), os.uname().nodename, boot, "1", 0)
        tx.execute("INSERT INTO leases VALUES (?,?,?,?,?,?,?,?)", row)
    with lease(case, "intake", "E-1"):
        pass


def test_another_machines_lease_is_never_taken_over_silently(case: Case) -> None:
    with case.write("core") as tx, tx.gate.core():
        tx.execute("INSERT INTO leases VALUES ('intake','E-1','x',1,'elsewhere','other boot','1',0)")
    with pytest.raises(Held, match="on elsewhere"), lease(case, "intake", "E-1"):
        pass


def test_a_lease_of_a_machine_that_is_gone_is_dropped_by_a_person(case: Case, capsys: pytest.CaptureFixture) -> None:
    """As where a case goes on on another machine: refused until somebody says so, which the Ledger keeps."""
    with case.write("core") as tx, tx.gate.core():
        tx.execute("INSERT INTO leases VALUES ('intake','E-1','x',1,'elsewhere','other boot','1',0)")
    with pytest.raises(Held) as refused, lease(case, "intake", "E-1"):
        pass
    assert "clew unlock" in str(refused.value.hint)
    cli.main(["unlock", str(case.folder), "--yes"], standalone_mode=False)
    assert "process 1 on elsewhere (x)" in capsys.readouterr().out
    with lease(case, "intake", "E-1"):
        assert case.read().execute("SELECT host FROM leases").fetchone()["host"] == os.uname().nodename
    lines = [line for (line,) in case.read().execute("SELECT line FROM ledger")]
    assert sum('"lease.dropped"' in line for line in lines) == 1
    cli.main(["unlock", str(case.folder), "--yes"], standalone_mode=False)
    assert "no lease is held" in capsys.readouterr().out


def test_leases_that_are_dropped_are_told_as_json_and_never_without_yes(
    case: Case, capsys: pytest.CaptureFixture
) -> None:
    with case.write("core") as tx, tx.gate.core():
        tx.execute("INSERT INTO leases VALUES ('intake','E-1','x',1,'elsewhere','other boot','1',0)")
    with pytest.raises(Usage, match="does not ask"):
        cli.main(["unlock", str(case.folder), "--json"], standalone_mode=False)
    assert case.read().execute("SELECT count(*) FROM leases").fetchone()[0] == 1
    cli.main(["unlock", str(case.folder), "--yes", "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert said == {"dropped": [{"stage": "intake", "subject": "E-1", "holder": "x", "pid": 1, "host": "elsewhere"}]}
    assert case.read().execute("SELECT count(*) FROM leases").fetchone()[0] == 0
