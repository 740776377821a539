"""Every Source: its benign exhibits are taken in whole, from every cursor, and junk is refused or accounted for."""

import random
import subprocess
import zipfile
from pathlib import Path

import pytest

from case_made import new_case
from clew.core import plugins, shards
from clew.core.engine import Policy, Pool
from clew.core.errors import ClewError
from clew.intake.api import Found, Source
from clew.intake.options import LIMITS, Options
from clew.intake.run import intake
from clew.intake.tools import SOURCES, asking
from container_files import wrap

NAMES = plugins.names(SOURCES)


def build(kind: str, files: dict[bytes, bytes], folder: Path) -> Path:
    """An exhibit of that kind, by ordinary tools."""
    tree = folder / "tree"
    tree.mkdir()
    for name, data in files.items():
        path = Path(str(tree) + "/" + name.decode("utf-8", "surrogateescape"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if kind == "folder":
        return tree
    if kind == "zip":
        with zipfile.ZipFile(folder / "image.zip", "w") as archive:
            for path in sorted(tree.rglob("*")):
                archive.write(path, path.relative_to(tree))
        return folder / "image.zip"
    image = folder / "image.raw"
    with image.open("wb") as out:
        out.truncate(4 << 20)
    if kind.startswith("FAT"):
        subprocess.run(["/usr/sbin/mkfs.fat", image], check=True, capture_output=True)
        for path in sorted(tree.iterdir()):
            subprocess.run(["mcopy", "-i", image, path, "::/"], check=True, capture_output=True)
    _, packed, container = kind.partition(" in ")
    if container == "E01":
        command = ["ewfacquirestream", "-q", "-c", "fast", "-t", folder / "image"]
        subprocess.run(command, input=image.read_bytes(), check=True, capture_output=True)
        return folder / "image.E01"
    return wrap(image, container, folder) if packed else image


def cases(name: str) -> list[tuple[str, dict[bytes, bytes]]]:
    source: Source = plugins.load(SOURCES, name)
    found = [(kind, dict(files)) for kind, files in source.examples()]
    assert found, "a source carries at least one benign exhibit"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_its_examples_are_taken_in_whole(name, tmp_path):
    import hashlib

    for number, (kind, files) in enumerate(cases(name)):
        (tmp_path / str(number)).mkdir()
        path = build(kind, files, tmp_path / str(number))
        case = new_case(tmp_path / str(number) / "case")
        summary = intake(case, path=path, label="X", workers=1, options=Options(extractors=()))
        rows = shards.query(case, "SELECT path, sha256 FROM listings JOIN contents USING (item)").to_pylist()
        assert summary.kind == name
        around = b"image.zip!/" if kind == "zip" else b""
        assert {row["path"]: row["sha256"] for row in rows if row["path"] != around.removesuffix(b"!/")} == {
            around + path: hashlib.sha256(data).digest() for path, data in files.items()
        }
        assert summary.account.complete


@pytest.mark.parametrize("name", NAMES)
def test_from_every_cursor_the_rest_follows(name, tmp_path):
    source: Source = plugins.load(SOURCES, name)
    for number, (kind, files) in enumerate(cases(name)):
        (tmp_path / str(number)).mkdir()
        session = source.open(build(kind, files, tmp_path / str(number)))
        with Pool(1, ("clew.intake.reading:preload", *source.preload), LIMITS, Policy(), session.held) as pool:
            ask = asking(pool)
            listed = set[str]()
            for part in session.parts(ask):
                if part.missing is None:
                    whole = list(session.items(part, "", lambda _, make: make(iter(())), ask))
                    listed |= {event.ref for event in whole if isinstance(event, Found)}
                    assert len({event.ref for event in whole if isinstance(event, Found)}) == sum(
                        isinstance(event, Found) for event in whole
                    )
                    for at, event in enumerate(whole):
                        rest = list(session.items(part, event.cursor, lambda _, make: make(iter(())), ask))
                        assert [e.ref for e in rest if isinstance(e, Found)] == [
                            e.ref for e in whole[at + 1 :] if isinstance(e, Found)
                        ]
            assert session.itself is None or session.itself in listed
        session.close()


@pytest.mark.parametrize("name", NAMES)
def test_junk_is_refused_or_accounted_for(name, tmp_path):
    """A file of noise and half an exhibit: no Source may end in anything but a refusal or an account that balances."""
    draw = random.Random(9)
    kind, files = cases(name)[0]
    whole = build(kind, files, tmp_path)
    junk = [draw.randbytes(5000), b""]
    if whole.is_file():
        data = bytearray(whole.read_bytes())
        junk += [bytes(data[: len(data) // 100])]
        for _ in range(4):
            flipped = bytearray(data)
            for _ in range(300):
                flipped[draw.randrange(min(len(flipped), 40_000))] ^= 1 << draw.randrange(8)
            junk.append(bytes(flipped))
    source: Source = plugins.load(SOURCES, name)
    for number, data in enumerate(junk):
        path = tmp_path / f"junk-{number}"
        path.write_bytes(data)
        try:
            if not source.wants(path):
                continue
        except ClewError:
            continue
        case = new_case(tmp_path / f"case-{number}")
        try:
            summary = intake(case, path=path, label="X", workers=1, options=Options(extractors=()))
        except ClewError:  # a container that cannot be opened is refused as a whole
            continue
        assert summary.account.balanced
