"""The seized disk: read back with The Sleuth Kit, every planted file is there byte by byte, live or deleted."""

import hashlib
import json

import numpy as np
import pdqhash
import pytest
import pytsk3
from PIL import Image

from clew.range import pictures
from clew.range.disk import SMALL, make_disk
from clew.range.registers import second_opinion, write_registers

SECTOR = 512


@pytest.fixture(scope="module")
def seizure(tmp_path_factory):
    return make_disk(5, tmp_path_factory.mktemp("disk"), SMALL)


def read_back(image):
    """(path, SHA-256, whether the name is live) of every regular file, the file system's own left out."""
    disk = pytsk3.Img_Info(str(image))
    for part in pytsk3.Volume_Info(disk):
        if part.flags & pytsk3.TSK_VS_PART_FLAG_ALLOC:
            system = pytsk3.FS_Info(disk, offset=part.start * SECTOR)
            yield from walk(system.open_dir("/"), "")


def walk(folder, above):
    for entry in folder:
        name, meta = entry.info.name.name.decode(), entry.info.meta
        if name in (".", "..") or name.startswith("$") or meta is None:
            continue
        live = int(entry.info.name.flags) == int(pytsk3.TSK_FS_NAME_FLAG_ALLOC)
        if meta.type == pytsk3.TSK_FS_META_TYPE_DIR and live:
            yield from walk(entry.as_directory(), f"{above}{name}/")
        elif meta.type == pytsk3.TSK_FS_META_TYPE_REG and "Volume Label" not in name:
            data = entry.read_random(0, meta.size) if meta.size else b""
            yield above + name, hashlib.sha256(data).hexdigest(), live


def test_the_manifest_is_the_disk(seizure):
    wanted = sorted((m.path, m.sha256, m.state == "live") for m in seizure.manifest)
    assert sorted(read_back(seizure.image)) == wanted
    assert {m.state for m in seizure.manifest} == {"live", "deleted"}
    assert {m.volume for m in seizure.manifest} == {"fat32", "ext4", "ntfs"}


def test_the_hash_sets_know_what_is_planted_as_known(seizure):
    media = json.loads(seizure.hashset.read_text("utf-8-sig"))
    assert next(iter(media)) == "@odata.context"
    known = {m.path for m in seizure.manifest if m.kind == "known"}
    assert len(known) == SMALL.known
    good = set(seizure.known_good.read_text("ascii").split())
    assert {m.sha256 for m in seizure.manifest if m.kind == "known good"} <= good
    assert not {m.sha256 for m in seizure.manifest if m.kind != "known good"} & good


def test_two_seeds_make_two_disks(seizure, tmp_path):
    other = make_disk(6, tmp_path, SMALL)
    assert {m.sha256 for m in other.manifest if m.size} & {m.sha256 for m in seizure.manifest if m.size} == set()


def reference(image):
    square = np.asarray(image.convert("RGB").resize((512, 512), Image.Resampling.NEAREST))
    bits, quality = pdqhash.compute(square)
    return int("".join(map(str, bits)), 2), quality


def test_pictures_are_good_enough_for_pdq_and_ours_is_the_reference():
    rng = np.random.default_rng(1)
    hashes = []
    for _ in range(6):
        image = pictures.scene(rng)
        value, quality = reference(image)
        assert quality >= 80
        assert (value ^ int(pictures.pdq(image), 16)).bit_count() <= 2
        smaller = pictures.altered(image, rng)
        assert (value ^ reference(smaller)[0]).bit_count() <= 20
        hashes.append(value)
    assert min((a ^ b).bit_count() for n, a in enumerate(hashes) for b in hashes[:n]) > 60


def test_a_burst_hangs_together():
    frames = [int(pictures.pdq(f), 16) for f in pictures.burst(np.random.default_rng(2), 6)]
    nearest = [min((a ^ b).bit_count() for m, b in enumerate(frames) if m != n) for n, a in enumerate(frames)]
    assert max(nearest) <= 31


def test_registers_agree_but_for_the_disputed_blocks(tmp_path):
    import csv
    import ipaddress

    import maxminddb

    from clew.range.places import networks

    paths = write_registers(tmp_path)
    lines = [line for line in paths["second"].read_text("utf-8").splitlines() if not line.startswith("#")]
    second = {row["network"]: row["country"] for row in csv.DictReader(lines)}
    with maxminddb.open_database(str(paths["assigned"])) as assigned:
        for network in networks():
            record = assigned.get(str(ipaddress.ip_network(network.cidr)[1]))
            assert record["country"]["iso_code"] == network.place.country
            assert (second[network.cidr] != network.place.country) == network.disputed
            assert second[network.cidr] == second_opinion(network)
        assert assigned.get("127.9.0.1") is None
