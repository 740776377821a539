"""BagIt 1.0 (RFC 8493): a folder that says which files it holds and what each hashes to.

Own writer, so that the same facts give the same bytes: no date but the one given, one algorithm (sha256), sorted lines.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from clew.core.errors import Damaged
from clew.core.files import sha256_of

DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
CHUNK = 1 << 20
PAYLOAD_MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
AGAIN = "ask the sender for the bundle again"


def write_synced(path: Path, blocks: Iterable[bytes]) -> None:
    """Writes a new file and makes it survive a power loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def payload(folder: Path) -> list[str]:
    """The names of the payload files (`data/...`), sorted."""
    data = folder / "data"
    return sorted(p.relative_to(folder).as_posix() for p in data.rglob("*") if not p.is_dir())


def digests(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every payload file, in name order."""
    return {name: sha256_of(folder / name).hex() for name in payload(folder)}


def finish(folder: Path, hashes: Mapping[str, str], info: Mapping[str, str]) -> None:
    """Makes a bag of a folder whose `data/` is complete: declaration, bag-info, both manifests.

    Tag files that lie beside `data/` already are listed in the tag manifest.
    """
    write_synced(folder / "bagit.txt", [DECLARATION.encode()])
    write_synced(folder / "bag-info.txt", [_info(folder, hashes, info).encode()])
    write_synced(folder / PAYLOAD_MANIFEST, [_lines(hashes).encode()])
    tags = sorted(p.name for p in folder.iterdir() if p.is_file())
    write_synced(folder / TAG_MANIFEST, [_lines({name: sha256_of(folder / name).hex() for name in tags}).encode()])


def check(folder: Path, info: Mapping[str, str], signed: frozenset[str]) -> None:
    """Raises Damaged, naming the first place, where the bag is not complete and valid (RFC 8493 section 3).

    BagIt's own files bear no signature: so they must say what the writer makes of `info` and the payload, and nothing
    may lie beside `data/` but them and the files `signed`.
    """
    known = {"bagit.txt", "bag-info.txt", PAYLOAD_MANIFEST, TAG_MANIFEST, "data", *signed}
    for name in sorted(p.name for p in folder.iterdir()):
        if name not in known:
            raise Damaged(f"{name} is in the bundle, but nothing of it is signed", AGAIN)
    if _text(folder, "bagit.txt") != DECLARATION:
        raise Damaged("bagit.txt is not the declaration of a BagIt 1.0 bag", AGAIN)
    tags = {p.name for p in folder.iterdir() if p.is_file()} - {TAG_MANIFEST}
    _compare(folder, TAG_MANIFEST, tags)
    _compare(folder, PAYLOAD_MANIFEST, set(payload(folder)))
    if _text(folder, "bag-info.txt") != _info(folder, payload(folder), info):
        raise Damaged("bag-info.txt does not state what manifest.json and the payload say", AGAIN)


def _info(folder: Path, names: Collection[str], info: Mapping[str, str]) -> str:
    octets = sum((folder / name).stat().st_size for name in names)
    lines = dict(info) | {"Payload-Oxum": f"{octets}.{len(names)}"}
    return "".join(f"{key}: {lines[key]}\n" for key in sorted(lines))


def _lines(hashes: Mapping[str, str]) -> str:
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{name} is missing or not text", AGAIN) from error


def _compare(folder: Path, manifest: str, there: set[str]) -> None:
    listed: dict[str, str] = {}
    for number, line in enumerate(_text(folder, manifest).splitlines(), 1):
        value, gap, name = line.partition("  ")
        if not gap or len(value) != 64 or name in listed:
            raise Damaged(f"{manifest} line {number} is not a digest and a name", AGAIN)
        listed[name] = value
    for name in sorted(there | set(listed)):
        if name not in listed:
            raise Damaged(f"{name} is in the bundle, but {manifest} does not list it", AGAIN)
        if name not in there:
            raise Damaged(f"{name} is listed in {manifest}, but is not in the bundle", AGAIN)
        if sha256_of(folder / name).hex() != listed[name]:
            raise Damaged(f"{name} does not hash to what {manifest} says", AGAIN)
