"""Further pages and pictures of a file, from the files to the match that is printed."""

import io
from pathlib import Path

import films
import pillow_heif
import pytest
from PIL import Image

from case_made import new_case
from clew.cli.main import main
from clew.core import pdq, pictures
from clew.intake.run import intake
from clew.match.run import add_hashset
from clew.model import HashSetKind


def test_from_the_files_to_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A known picture on the second page of a TIFF, and as the last picture of a HEIF: intake, match, exact, words."""
    case = new_case(tmp_path / "case", purposes=["intake", "match"])
    root, out = tmp_path / "evidence", io.BytesIO()
    root.mkdir()
    pages = [Image.fromarray(films.picture(number)) for number in range(3)]
    pages[0].save(root / "fax.tif", save_all=True, append_images=pages[1:])
    heif = pillow_heif.HeifFile()
    for number in (3, 4, 1):
        heif.add_from_pillow(Image.fromarray(films.picture(number)))
    heif.save(out, primary_index=0, quality=95)
    (root / "burst.heic").write_bytes(out.getvalue())
    intake(case, path=root, label="P", workers=1)
    assert {int(part) for part in pictures.read(case).part} == {0, 1, 2, 3}
    (tmp_path / "known.txt").write_text(f"pdq:{pdq.hash_rgb(films.picture(1))[0].hex()}\n")
    add_hashset(case, path=tmp_path / "known.txt", name="known", kind=HashSetKind.ALERT)
    with pytest.raises(SystemExit) as ended:
        main(["match", str(case.folder)])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    for part in ("page 2", "further picture 2"):
        assert f": {part}: alert, known, distance " in told
    assert "first page or main picture alone" not in told
    hits = case.read().execute("SELECT part, mode, state FROM hits ORDER BY part")
    assert [tuple(hit) for hit in hits] == [("further picture 2", "exact", "stands"), ("page 2", "exact", "stands")]
