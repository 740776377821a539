"""One generated disk, "a subject's seized disk", and the hash sets that go with it. All of it benign and made by code.

The manifest names every file with its SHA-256, where it lies, and whether it is live or deleted. All of it must be
found: FAT keeps name, size and first cluster of a deleted file (and the files lie in one run), and debugfs leaves the
extents of a removed inode where they were. A running Linux kernel would clear those, so this disk is kinder than one
out of a computer: it tests the account, not the carving.
"""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import hashlib
import io
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from clew.range import filesystems, pictures

# A model of its own, so that no national category ever stands beside a harmless picture.
VICS_CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/CUSTOM/$metadata#Media"


@dataclass(frozen=True, slots=True)
class Planted:
    """One file of the disk. `kind` is what it is planted for; those of one burst share `series`."""

    volume: str
    path: str
    sha256: str
    size: int
    state: str
    kind: str
    series: str = ""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many files of each kind."""

    known: int = 24
    altered: int = 14
    bursts: int = 6
    burst_length: int = 7
    singles: int = 30
    known_good: int = 16
    documents: int = 60
    empty: int = 5
    broken: int = 4


SMALL = Amounts(6, 4, 2, 5, 6, 4, 12, 2, 1)


@dataclass(slots=True)
class Seizure:
    """What `make_disk` left behind, with the manifest of every file."""

    image: Path
    hashset: Path
    known_good: Path
    manifest: list[Planted] = field(default_factory=list)

    def to_json(self) -> list[dict[str, object]]:
        """The manifest as JSON."""
        return [asdict(each) for each in self.manifest]


@dataclass(slots=True)
class _Draft:
    kind: str
    name: str
    data: bytes
    series: str = ""


def make_disk(seed: int, folder: Path, amounts: Amounts | None = None) -> Seizure:
    """Writes disk.img, known.vics.json and known-good.txt into `folder`; the manifest stays in memory."""
    amounts = amounts or Amounts()
    rng, draw = np.random.default_rng(seed), random.Random(f"clew disk {seed}")
    known = [pictures.scene(rng) for _ in range(amounts.known + 12)]
    drafts = list(_drafts(rng, draw, amounts, known))
    draw.shuffle(drafts)
    found = Seizure(folder / "disk.img", folder / "known.vics.json", folder / "known-good.txt")
    _vics(found.hashset, known, draw)
    good = [d.data for d in drafts if d.kind == "known good"] + [draw.randbytes(64) for _ in range(500)]
    found.known_good.write_text("".join(sorted(hashlib.sha256(g).hexdigest() + "\n" for g in good)), "ascii")
    _lay_out(found, drafts, draw)
    return found


def _drafts(
    rng: np.random.Generator, draw: random.Random, amounts: Amounts, known: list[Image.Image]
) -> Iterator[_Draft]:
    for number, image in enumerate(known[: amounts.known]):
        yield _Draft("known", f"a{draw.randrange(16**6):06x}.jpg", pictures.jpeg(image, quality=_quality(number)))
    for image in known[: amounts.altered]:
        smaller = pictures.altered(image, rng)
        yield _Draft("altered", f"b{draw.randrange(16**6):06x}.jpg", pictures.jpeg(smaller, quality=72))
    day = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    for number in range(amounts.bursts):
        camera, taken = pictures.pick_camera(rng), day + timedelta(days=int(rng.integers(0, 200)))
        for frame in pictures.burst(rng, amounts.burst_length):
            taken += timedelta(seconds=int(rng.integers(2, 25)))
            data = pictures.jpeg(frame, camera=camera, taken=taken)
            yield _Draft("series", f"IMG_{draw.randrange(10**4):04d}{number}.JPG", data, f"S{number + 1}")
    for number in range(amounts.singles):
        image = pictures.scene(rng, 640, 480)
        if number % 5 == 0:
            yield _Draft("single", f"c{draw.randrange(16**6):06x}.png", pictures.png(image))
        else:
            owned = pictures.pick_camera(rng) if number % 2 else None
            data = pictures.jpeg(image, camera=owned, taken=day + timedelta(days=number))
            yield _Draft("single", f"c{draw.randrange(16**6):06x}.jpg", data)
    for _ in range(amounts.known_good):
        yield _Draft("known good", f"lib{draw.randrange(16**5):05x}.bin", draw.randbytes(draw.randrange(2000, 60_000)))
    yield from _documents(draw, amounts)
    for number in range(amounts.broken):
        whole = pictures.jpeg(pictures.scene(rng, 640, 480))
        yield _Draft("broken", f"d{number}{draw.randrange(16**5):05x}.jpg", whole[: len(whole) // 3])


def _quality(number: int) -> int:
    return 80 + number % 12


def _documents(draw: random.Random, amounts: Amounts) -> Iterator[_Draft]:
    words = ("invoice", "garden", "recipe", "ticket", "minutes", "travel", "lesson", "budget", "song", "letter")
    for number in range(amounts.documents):
        lines = (" ".join(draw.choice(words) for _ in range(9)) for _ in range(draw.randrange(3, 200)))
        text = f"{number}\n" + "\n".join(lines)
        suffix = draw.choice(("txt", "csv", "html", "json", "md"))
        body = f"<!DOCTYPE html><html><body><p>{text}</p></body></html>" if suffix == "html" else text
        body = json.dumps({"text": text}) if suffix == "json" else body
        yield _Draft("document", f"{draw.choice(words)}-{draw.randrange(16**4):04x}-{number}.{suffix}", body.encode())
    for number in range(amounts.empty):
        yield _Draft("empty", f"empty-{number}.txt", b"")


def _vics(path: Path, known: list[Image.Image], draw: random.Random) -> None:
    """The alert set: VICS 2.0 as seen in the field; MD5 and SHA1 of the original bytes, PDQ as an alternative hash."""
    media = []
    for number, image in enumerate(known):
        data = pictures.jpeg(image, quality=_quality(number))
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest().upper()
        media.append(
            {
                "MediaID": number + 1,
                "Category": draw.choice((1, 2)),
                "MD5": md5,
                "SHA1": hashlib.sha1(data, usedforsecurity=False).hexdigest().upper(),
                "MediaSize": str(len(data)),
                "MimeType": "image/jpeg",
                "Series": f"training series {number % 5 + 1}",
                "AlternativeHashes": [{"HashName": "PDQ", "HashValue": pictures.pdq(_decoded(data)), "MD5": md5}],
            }
        )
    path.write_text(json.dumps({"@odata.context": VICS_CONTEXT, "value": media}, indent=1), "utf-8-sig")


def _decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _lay_out(found: Seizure, drafts: list[_Draft], draw: random.Random) -> None:
    """Spreads the drafts over three volumes; every eighth file of the first two is deleted."""
    volumes: dict[str, dict[str, bytes]] = {"fat32": {}, "ext4": {}, "ntfs": {}}
    removed: dict[str, list[str]] = {"fat32": [], "ext4": [], "ntfs": []}
    for number, draft in enumerate(drafts):
        volume = ("fat32", "ext4", "ntfs")[number % 3]
        path = _path(volume, draft, draw, number)
        deleted = number % 8 == 0 and volume != "ntfs" and draft.kind not in ("empty", "broken")
        volumes[volume][path] = draft.data
        if deleted:
            removed[volume].append(path)
        found.manifest.append(
            Planted(
                volume=volume,
                path=path,
                sha256=hashlib.sha256(draft.data).hexdigest(),
                size=len(draft.data),
                state="deleted" if deleted else "live",
                kind=draft.kind,
                series=draft.series,
            )
        )
    with tempfile.TemporaryDirectory(prefix="clew-disk-") as name:
        folder = Path(name)
        images = [(kind, folder / f"{kind}.img") for kind in volumes]
        filesystems.fat32(images[0][1], volumes["fat32"], removed["fat32"], folder / "fat")
        filesystems.ext4(images[1][1], volumes["ext4"], removed["ext4"], folder / "ext")
        filesystems.ntfs(images[2][1], volumes["ntfs"], folder / "nt")
        filesystems.disk(found.image, images)


def _path(volume: str, draft: _Draft, draw: random.Random, number: int) -> str:
    """Where a person would have put it. Names never repeat: each carries its number."""
    stem, _, suffix = draft.name.rpartition(".")
    name = f"{stem}_{number:03d}.{suffix}"
    if volume == "ntfs":
        return name
    if draft.kind == "series":
        return f"DCIM/{100 + number % 2}CANON/{name}" if volume == "fat32" else f"Pictures/import/{name}"
    if draft.kind in ("document", "empty"):
        return f"{'docs' if volume == 'fat32' else 'home/user/Documents'}/{name}"
    return f"{draw.choice(('new', 'old', 'misc'))}/{name}"
