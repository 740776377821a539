"""The program of docs/intake.md that holds a seized file against the image without clew, run as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ewf_cases import fat

from case_made import new_case
from clew.intake.options import Options
from clew.intake.run import intake

DOCS = Path(__file__).parents[2] / "docs" / "intake.md"
KEPT, OTHER = b"kept by a person\n" * 900, b"another file\n" * 900


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(fat(tmp_path, {"KEPT.TXT": KEPT, "OTHER.TXT": OTHER}))
    return path


def said(folder: Path, image: Path) -> str:
    """What the page's one program prints of KEPT.TXT, in the folder of the case."""
    (program,) = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text("utf-8"), flags=re.S | re.M)
    placed = program.replace('"/copy/disk.raw", b"DCIM/100/clip.mp4"', f'{str(image)!r}, b"KEPT.TXT"')
    assert placed != program
    ended = subprocess.run([sys.executable, "-c", placed], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout


def test_it_finds_the_same_bytes_and_others_where_they_are_others(tmp_path: Path, image: Path) -> None:
    folder = tmp_path / "case"
    intake(new_case(folder), path=image, label="D", options=Options(workers=1, extractors=()))
    (line,) = said(folder, image).splitlines()
    assert line.endswith("/KEPT.TXT the same")
    data = bytearray(image.read_bytes())
    data[data.index(KEPT[:512]) + 100] ^= 1
    image.write_bytes(data)
    (line,) = said(folder, image).splitlines()
    assert line.endswith("/KEPT.TXT another, or not to be seen so")
