"""What somebody can do to a Bundle that they can open, with or without the sender's own key."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from share_world import World

from clew.core.ledger import canonical
from clew.core.merkle import Tree
from clew.share import bag, manifest, seal, ustar

Change = Callable[[Path], None]


def remade(
    world: World,
    path: str,
    change: Change,
    *,
    signer: Ed25519PrivateKey | None = None,
    to: str = "AT",
    opener: str = "AT",
    state: bool = False,
) -> Path:
    """What somebody can do who can open a Bundle: change it, hash it all anew, perhaps sign it anew, seal it again."""
    folder = world.folder / f"remade{world.numbers}"
    world.numbers += 1
    folder.mkdir()
    plain = pyrage.decrypt(Path(path).read_bytes(), [pyrage.x25519.Identity.from_str(world.identity(opener))])
    names = ustar.unpack(io.BytesIO(plain), folder, ustar.Limits())
    top = folder / names[0].split("/")[0]
    change(top)
    if signer is not None:
        body = json.loads((top / "manifest.json").read_bytes())
        body["files"] = bag.digests(top)
        body["ledger"] = ledger_state(top) if state else body["ledger"]
        data = (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()
        (top / "manifest.json").write_bytes(data)
        (top / "manifest.sig").write_bytes(signer.sign(data))
        for name in ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"):
            (top / name).unlink(missing_ok=True)
        bag.finish(top, bag.digests(top), manifest.info(manifest.read(data)))
    out = folder / "again.tar"
    listed = sorted(p.relative_to(folder).as_posix() for p in top.rglob("*") if p.is_file())
    with out.open("xb") as file:
        ustar.pack(file, [(name, folder / name) for name in listed], mtime=1)
    seal.encrypt(out, folder / "again.tar.age", (world.keys / f"{to}.recipient").read_text())
    return folder / "again.tar.age"


def flip(name: str) -> Change:
    def change(top: Path) -> None:
        data = bytearray((top / name).read_bytes() or b"\0")
        data[len(data) // 2] ^= 1
        (top / name).write_bytes(data)

    return change


def swap_lines(name: str) -> Change:
    def change(top: Path) -> None:
        lines = (top / name).read_bytes().splitlines(keepends=True)
        lines[1], lines[2] = lines[2], lines[1]
        (top / name).write_bytes(b"".join(lines))

    return change


def drop_last_line(name: str) -> Change:
    def change(top: Path) -> None:
        (top / name).write_bytes(b"".join((top / name).read_bytes().splitlines(keepends=True)[:-1]))

    return change


def rechain(top: Path) -> None:
    """Another history, without a broken link."""
    previous, out = bytes(32).hex(), b""
    for line in (top / manifest.LEDGER).read_bytes().splitlines():
        entry = json.loads(line) | {"prev": previous, "actor": "somebody else"}
        text = canonical(entry).encode()
        previous, out = hashlib.sha256(text).hexdigest(), out + text + b"\n"
    (top / manifest.LEDGER).write_bytes(out)


def ledger_state(top: Path) -> dict[str, object]:
    """What manifest.json would say of this ledger."""
    tree = Tree()
    lines = (top / manifest.LEDGER).read_bytes().splitlines()
    for line in lines:
        tree.add(line)
    return {"last_line_sha256": hashlib.sha256(lines[-1]).hexdigest(), "root": tree.root().hex(), "size": tree.size}
