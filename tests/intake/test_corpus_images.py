"""Every image of the corpus opens as its SOURCES.md says, or says why not; an image added there is asked for here."""

import gzip
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from test_corpus_archives import ARCHIVES

from case_made import new_case
from clew.core import shards
from clew.core.errors import ClewError
from clew.intake.options import Options
from clew.intake.recount import NO_SECOND
from clew.intake.run import intake

pytestmark = pytest.mark.corpus

FORK = hashlib.sha256(b"My resource fork\n").hexdigest()
PASSWORDS = "02a2a6af2f1ecf4720d7d49d640f0d0a269a7ec733e41973bdd34f09dad0e252"  # passwords.txt of log2timeline


@dataclass
class Expected:
    """By which Source it opens, how many Items of which it has `live` ones, what the account says, and one content."""

    source: str
    items: int = 0
    live: int = 0
    said: tuple[str, ...] = ()
    contents: dict[bytes, str] = field(default_factory=dict)


def four(source: str, *said: str, **more: int) -> Expected:
    """The files that most of log2timeline's images hold: a link, and three files; on a Mac's a resource fork too."""
    contents = {b"passwords.txt": PASSWORDS}
    if source == "dmg":
        contents[b"a_directory/a_resourcefork:RSRC"] = FORK
    return Expected(source, **({"items": 4, "live": 4} | more), said=said, contents=contents)


IMAGES = {
    "dfvfs/test_data/apfs.raw": four("rawdisk", "volume's superblock counted 8", items=10, live=10),
    "dfvfs/test_data/bogus.001": Expected("rawdisk", said=("no file system",)),
    "dfvfs/test_data/ext2.E01": four("ewf"),
    "dfvfs/test_data/ext2.qcow2": four("qcow"),
    "dfvfs/test_data/ext2.split.E01": four("ewf"),
    "dfvfs/test_data/ext2.splitraw.000": four("rawdisk"),
    "dfvfs/test_data/ext2.vhd": four("vhd"),
    "dfvfs/test_data/ext2.vmdk": four("vmdk"),
    "dfvfs/test_data/hfsplus.raw": four("rawdisk", "libfshfs", items=10, live=10),
    "dfvfs/test_data/hfsplus_zlib.dmg": four("dmg", "GPT", items=7, live=7),
    "dfvfs/test_data/image-differential.vhd": four("vhd", "checksum of its footer", items=7, live=3),
    "dfvfs/test_data/image.vhd": four("vhd", "checksum of its footer", items=7, live=3),
    "dfvfs/test_data/iso9660.raw": Expected("rawdisk", 3, 3, ("counted 3,",), {b"PASSWORDS.TXT": PASSWORDS}),
    "dfvfs/test_data/windows_volume.qcow2": Expected("qcow", 1, 1),
    "generated/images/ext4_deleted.raw.gz": Expected("rawdisk", 6, 3),
    "generated/images/fat16_deleted.raw.gz": Expected("rawdisk", 6, 3),
    "generated/images/ntfs_deleted.raw.gz": Expected("rawdisk", 6, 3),
    "generated/images/luks1.raw.gz": Expected("rawdisk", said=("encrypted: LUKS1", "cryptsetup open")),
    "generated/images/luks2_argon2id.raw.gz": Expected("rawdisk", said=("encrypted: LUKS2",)),
    "generated/images/luks2_pbkdf2.raw.gz": Expected("rawdisk", said=("encrypted: LUKS2",)),
    "generated/images/mbr_fat16_ntfs.E01": Expected("ewf", 12, 6),
    "generated/images/mbr_fat16_ntfs.qcow2": Expected("qcow", 12, 6),
    "generated/images/mbr_fat16_ntfs.raw.gz": Expected("rawdisk", 12, 6),
    "plaso/test_data/image-split.E01": Expected(
        "ewf", said=("458,752 bytes could not be read", "names may be missing")
    ),
    "plaso/test_data/image.E01": four("ewf", items=7, live=3),
    "plaso/test_data/image.qcow2": four("qcow", items=7, live=3),
    "plaso/test_data/image.vmdk": four("vmdk", items=6, live=4),
    "plaso/test_data/syslog_image.dd": Expected("rawdisk", 6, 2),
    "plaso/test_data/tsk_volume_system.raw": Expected("rawdisk", said=("all zero", "libfsext")),
    "plaso/test_data/vsstest.qcow2": Expected("qcow", 6, 6, ("volume shadow copies",)),
}
REFUSED = {"dfvfs/test_data/fat-differential.vhd": "fat-parent.vhd"}
OTHER = ("ext2.splitraw.001",)  # segments that follow the first one
KINDS = {".raw", ".qcow2", ".vhd", ".vhdx", ".vmdk", ".dmg", ".dd", ".001", ".000", ".gz", ".iso", ".E01", ".Ex01"}


@pytest.fixture
def corpus() -> Path:
    return Path(os.environ["CLEW_CORPUS"])


def image_of(corpus: Path, name: str, folder: Path) -> Path:
    """The image, unpacked where it is packed."""
    if not name.endswith(".gz"):
        return corpus / name
    image = folder / Path(name).stem
    with gzip.open(corpus / name) as packed, image.open("wb") as out:
        shutil.copyfileobj(packed, out)
    return image


@pytest.mark.parametrize("name", IMAGES)
def test_it_opens_as_the_corpus_says(name, corpus, tmp_path):
    expected = IMAGES[name]
    case = new_case(tmp_path / "case")
    image = image_of(corpus, name, tmp_path)
    summary = intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    sql = "SELECT path, name_state, sha256 FROM listings LEFT JOIN contents USING (item)"
    found = shards.query(case, sql).to_pylist()
    assert summary.kind == expected.source
    named = [item for item in found if item["name_state"] != "carved" and b"!/" not in item["path"]]
    assert len(named) == expected.items
    assert sum(item["name_state"] == "live" for item in named) == expected.live
    words = summary.words()
    for said in expected.said:
        assert said in words
    for path, sha256 in expected.contents.items():
        assert [item["sha256"].hex() for item in found if item["path"] == path] == [sha256]
    counted = [each for each in summary.account.recounts if each.said != NO_SECOND]
    assert all(each.theirs == each.ours and not each.unexplained for each in counted), words
    assert summary.account.balanced
    if expected.source == "rawdisk" and not name.endswith(".000"):
        assert summary.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    if expected.source == "ewf":  # the segment with the digest is missing where none of it can be listed
        assert summary.acquisition["agree"] == ({"md5": True} if expected.items else {})


@pytest.mark.parametrize("name", REFUSED)
def test_it_says_why_it_does_not_open(name, corpus, tmp_path):
    with pytest.raises(ClewError, match=REFUSED[name]):
        intake(new_case(tmp_path / "case"), path=corpus / name, label="D", workers=1)


def test_every_image_of_the_corpus_is_asked_for(corpus):
    there = {str(path.relative_to(corpus)) for path in corpus.rglob("*") if path.suffix in KINDS}
    assert there - set(ARCHIVES) - {f"dfvfs/test_data/{name}" for name in OTHER} == set(IMAGES) | set(REFUSED)
