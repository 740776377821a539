"""The commands of docs/formats.md and of summary.html, run as they are printed, on good and on tampered Bundles."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from remake import drop_last_line, flip, rechain, remade, swap_lines
from share_world import World

from clew.core import keys
from clew.share import manifest

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def printed(language: str) -> list[str]:
    """Every block of the section in this language, verbatim, in order."""
    section = DOCS.read_text("utf-8").split("## Check a Bundle without clew\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.S | re.M)


def commands() -> str:
    """What is typed into one shell."""
    blocks = printed("sh")
    assert len(blocks) == 6
    return "".join(blocks)


def by_python() -> str:
    """What opens a Bundle, and then checks its ledger the quick way."""
    (program,) = printed("python")
    return f"{printed('sh')[0]}python3 - <<'END'\n{program}END\necho 'the ledger holds'\n"


def run(
    world: World, bundle: Path | str, script: str, name: str = "bundle.tar.age"
) -> subprocess.CompletedProcess[str]:
    folder = world.folder / f"by-hand{world.numbers}"
    world.numbers += 1
    folder.mkdir()
    shutil.copyfile(bundle, folder / name)
    shutil.copyfile(world.keys / "AT.age", folder / "identity.age")
    shutil.copyfile(world.keys / "EU.pub", folder / "sender.pub")
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_good_bundle_passes(world: World) -> None:
    done = run(world, world.build().path, commands())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("the bundle holds\n")
    assert done.stdout.count("Signature Verified Successfully") == 2
    assert "data/annex.age: OK" in done.stdout


def test_a_bundle_without_leads_passes_too(world: World) -> None:
    with world.case.write("attribute") as tx:
        tx.execute("DELETE FROM leads")
    done = run(world, world.build().path, commands())
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_senders_key_is_made_of_its_digits_as_printed(world: World) -> None:
    section = DOCS.read_text("utf-8").split("## Check a Bundle without clew\n")[1].split("\n## ")[0]
    lines = re.findall(r"^    (.*)$", section.split("```")[0], flags=re.M)
    script = "\n".join(lines).replace("...", world.public("EU"))
    done = run(world, world.build().path, f"mv sender.pub given\n{script}\ncmp sender.pub given && echo the same")
    assert done.stdout == "the same\n", done.stderr


def test_a_cut_or_flipped_file_does_not_open(world: World) -> None:
    data = Path(world.build().path).read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for number, bad in enumerate((data[:-1], bytes(flipped))):
        path = world.folder / f"bad{number}"
        path.write_bytes(bad)
        done = run(world, path, commands())
        assert done.returncode != 0
        assert "age: error" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("manifest.json", "Signature Verification Failure"),
        ("manifest.sig", "Signature Verification Failure"),
        ("data/summary.html", "data/summary.html: FAILED"),
        ("data/ledger/ledger.jsonl", "data/ledger/ledger.jsonl: FAILED"),
        ("data/annex.age", "data/annex.age: FAILED"),
        ("bagit.txt", "bagit.txt: FAILED"),
    ],
)
def test_a_flipped_bit_inside_is_refused(world: World, name: str, words: str) -> None:
    done = run(world, remade(world, world.build().path, flip(name)), commands())
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "the bundle holds" not in done.stdout


def test_what_an_insider_changed_and_signed_anew_is_refused(world: World) -> None:
    path, key = world.build().path, keys.signing_key("EU", world.keys)
    cases = [
        (swap_lines(manifest.LEDGER), "the ledger breaks at"),
        (drop_last_line(manifest.LEDGER), ""),
        (rechain, "Verified Successfully"),
        (flip("data/ledger/checkpoint.sig"), "Signature Verification Failure"),
        (flip("data/annex.age"), "age: error"),
    ]
    for change, words in cases:
        done = run(world, remade(world, path, change, signer=key), commands())
        assert done.returncode != 0
        assert words in done.stdout + done.stderr
        assert "the bundle holds" not in done.stdout
    consistent = remade(world, path, rechain, signer=key, state=True)
    done = run(world, consistent, commands())
    assert done.returncode != 0, "re-chained, manifest and all: only the checkpoint tells"
    assert "the bundle holds" not in done.stdout


def test_the_quick_check_of_the_ledger_says_the_same(world: World) -> None:
    """Of ledgers of many lengths, whose trees are full and not."""
    for _ in range(9):
        with world.case.write("share") as tx:
            tx.record("noted")
        path = world.build().path
        done = run(world, path, by_python())
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("the ledger holds\n")
    key = keys.signing_key("EU", world.keys)
    for change, words in (
        (swap_lines(manifest.LEDGER), "the ledger breaks at"),
        (drop_last_line(manifest.LEDGER), "this is another ledger"),
        (rechain, "this is another ledger"),
    ):
        done = run(world, remade(world, path, change, signer=key), by_python())
        assert done.returncode != 0
        assert words in done.stderr


def test_a_file_added_or_missing_is_refused(world: World) -> None:
    path = world.build().path
    for change in (lambda top: (top / "data/zzz").write_bytes(b""), lambda top: (top / "data/summary.html").unlink()):
        done = run(world, remade(world, path, change), commands())
        assert done.returncode != 0


def test_somebody_elses_signature_is_refused(world: World) -> None:
    forged = remade(world, world.build().path, lambda top: None, signer=keys.signing_key("evil", world.keys))
    done = run(world, forged, commands())
    assert done.returncode != 0
    assert "Signature Verification Failure" in done.stdout + done.stderr


def test_the_short_commands_of_the_summary_work_as_printed(world: World) -> None:
    made = world.build()
    page = run(world, made.path, commands() + "cat ../bag/data/summary.html").stdout
    short = html.unescape(re.search(r"<pre>(.*?)</pre>", page, flags=re.S)[1])
    good = run(world, made.path, f"set -euo pipefail\n{short}", name="BUNDLE.tar.age")
    assert good.returncode == 0, good.stderr
    assert "Signature Verified Successfully" in good.stdout
    assert good.stdout.count(": OK") == 9
    bad = remade(world, made.path, flip("data/summary.html"))
    assert run(world, bad, f"set -euo pipefail\n{short}", name="BUNDLE.tar.age").returncode != 0
