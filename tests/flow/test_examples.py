"""What stands in examples/ runs as it stands there."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from clew.core.case import Case

SCRIPT = Path(__file__).parent.parent.parent / "examples" / "own-evidence.sh"


def test_ones_own_evidence_from_nothing_to_a_page(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    rng = np.random.default_rng(5)
    for number in range(3):
        rough = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        rough.resize((640, 480), Image.Resampling.BICUBIC).save(evidence / f"{number}.jpg", quality=90)
    (evidence / "known.txt").write_text("a known text\n", "utf-8")
    (evidence / "broken.jpg").write_bytes((evidence / "0.jpg").read_bytes()[:300])
    known = tmp_path / "known-hashes.txt"
    known.write_text(hashlib.sha256(b"a known text\n").hexdigest() + "\n", "utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["sh", str(SCRIPT), str(evidence), str(tmp_path / "work"), str(known)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    assert "clew review" in done.stdout
    read = Case.open(tmp_path / "work" / "case").read()
    assert read.execute("SELECT count(*) FROM items").fetchone()[0] == 5
    assert read.execute("SELECT count(*) FROM items WHERE state = 'open'").fetchone()[0] == 0
    assert [tuple(r) for r in read.execute("SELECT kind, algorithm FROM hits")] == [("alert", "sha256")]
