"""What lies in the sealed annex: the documents that a Bundle rests on, each under a name of its own."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from share_world import World, make_world

from clew.core import keys, mandate, watch
from clew.share import annex, seal, ustar, verify

SAME = "Prosecutor of Example, operation "  # 33 bytes: whoever writes ids by hand begins them alike


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def documents(world: World, bundle: Path) -> dict[str, str]:
    """Name to signed id of each document in the annex of this Bundle."""
    identity, work = world.identity("AT"), world.folder / "opened"
    work.mkdir()
    folder = verify.open_bundle(bundle, work, identity)
    seal.decrypt(folder / "data/annex.age", work / "annex.tar", identity)
    with (work / "annex.tar").open("rb") as file:
        ustar.unpack(file, work / "annex", annex.LIMITS)
    found = {path.name: json.loads(path.read_bytes()) for path in (work / "annex/documents").iterdir()}
    return {name: signed["body"]["id"] for name, signed in found.items()}


def test_ids_that_begin_alike_are_different_files(world: World) -> None:
    authority = keys.signing_key("authority", world.keys)
    (document,) = (row["document"] for row in world.case.read().execute("SELECT document FROM mandates"))
    body = json.loads(document)["body"]
    rows = []
    for number in (1, 2):
        key = f"{SAME}{number}"
        mandate.add(world.case, mandate.sign_document("mandate", body | {"id": key}, authority))
        made = replace(world.watches[0], id=key, label=f"W-1{number}", infohash_v1=bytes([number]) * 20)
        made = replace(made, infohash_v2=None, mandate=key)
        watch.add(world.case, mandate.sign_document("watch", watch.to_body(made), authority))
        rows += [world.sighting("192.0.2.1", 6881, watch=key, mandate=key) for _ in range(2)]
        world.lead(f"lead {number}", rows[-2:])
    world.store("sightings", rows, "observe")
    made = world.build()
    verify.verify_bundle(Path(made.path), sender_key=world.public("EU"), identity=world.identity("AT"))
    found = documents(world, Path(made.path))
    ids = {hashlib.sha256(key.encode()).hexdigest(): key for key in (f"{SAME}1", f"{SAME}2")}
    named = {f"{kind}-{digest}.json": key for kind in ("mandate", "watch") for digest, key in ids.items()}
    assert found == named | {f"mandate-{world.mandate}.json": world.mandate}
    world.case.close()
