"""docs/check-a-sighting.md for who has a Bundle and no case: what is printed there leads from a Lead to its bytes."""

import re
import subprocess
from pathlib import Path

from share_world import World
from test_formats_commands import commands, run

from clew.observe.networks import _mse_keys

PAGE = Path(__file__).parents[2] / "docs" / "check-a-sighting.md"


def printed() -> list[tuple[str, str]]:
    """The blocks of the section, verbatim, in order: (language, text)."""
    section = PAGE.read_text("utf-8").split("## With a Bundle and no case\n")[1].split("\n## ")[0]
    return re.findall(r"^```(sh|python)\n(.*?)^```$", section, flags=re.S | re.M)


def test_from_the_reference_on_the_page_to_the_bytes_of_each_contact(world: World) -> None:
    made, lead = world.build(), world.leads["first"]
    (kind, before), (language, program) = printed()
    assert (kind, language) == ("sh", "python")
    assert 'reference = "REFERENCE"' in program
    script = f"{commands()}{before}python3 - <<'END'\n{program.replace('REFERENCE', lead)}END\n"
    done = run(world, made.path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.split("the bundle holds\n")[1].splitlines()
    (row,) = world.case.read().execute(
        "SELECT sightings FROM subject_intervals JOIN leads USING (subject) WHERE id = ?", (lead,)
    )
    ids = re.findall(r"[0-9a-f]{32}", row["sightings"])
    assert [line.split()[0] for line in lines] == ids
    assert len(ids) == 2
    folder = next(world.folder.glob("by-hand*")) / "annex" / "transcripts"
    for line in lines:
        shown = subprocess.run(["head", "-c", "2", folder / f"{line.split()[0]}.bin"], capture_output=True, check=True)
        assert shown.stdout == b"CT"
        assert "0 pieces inside" not in line
        assert "of the pieces 0 to " in line


def test_the_numbers_of_mse_are_those_that_are_computed_with() -> None:
    text = re.sub(r"\s", "", PAGE.read_text("utf-8"))
    assert f"P={int(_mse_keys.PRIME):x}Behind" in text
    assert f"{_mse_keys.GENERATOR}^XmodP" in text
    assert f"generator{_mse_keys.GENERATOR}:" in text
