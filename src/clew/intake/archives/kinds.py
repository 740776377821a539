"""Which media types are archives, and how each is opened."""

from dataclasses import dataclass

ZIP, SEVEN_ZIP, RAR, CAB, MOTION_PHOTO, THUMBNAILS = "zip", "7z", "rar", "cab", "motion photo", "thumbcache"
FILM = "image.film"  # the trait of a picture that has one in it: the byte at which it begins
THUMBCACHE = "application/x-thumbcache"  # clew's own type
WITH_FILM = "image/x-motion-photo"  # what no content is typed as: how a picture is opened in which a film was found


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of archive is read: `name` for a person, the libarchive formats that may apply, and its one filter.

    A `single` stream holds one file, which may be a tar or cpio archive. `solid`: members may be compressed together,
    and to reach one, all before it are unpacked.
    """

    name: str
    formats: tuple[str, ...]
    filter: str = "none"
    solid: bool = False

    @property
    def single(self) -> bool:
        """Whether it is compression around one stream of bytes."""
        return self.filter != "none"

    @property
    def weak(self) -> bool:
        """Whether its magic is so short that one in some thousands of other contents begins with it."""
        return self.filter in _WEAK


_WEAK = {"zlib", "compress", "lzma"}
BLOCK = 512  # bytes of a tar header
_PACKED = ("raw", "empty")

_ZIP = Kind(ZIP, ("zip_streamable",))
_KINDS: dict[str, Kind] = {
    "application/zip": _ZIP,
    "application/x-zip-compressed": _ZIP,
    "application/java-archive": _ZIP,
    "application/epub+zip": _ZIP,
    "application/vnd.android.package-archive": _ZIP,
    "application/vnd.comicbook+zip": _ZIP,
    "application/x-xpinstall": _ZIP,
    "application/x-7z-compressed": Kind(SEVEN_ZIP, ("7zip",), solid=True),
    "application/x-rar": Kind(RAR, ("rar", "rar5"), solid=True),
    "application/vnd.rar": Kind(RAR, ("rar", "rar5"), solid=True),
    "application/x-tar": Kind("tar", ("tar",)),
    "application/x-gtar": Kind("tar", ("tar",)),
    "application/x-ustar": Kind("tar", ("tar",)),
    "application/x-cpio": Kind("cpio", ("cpio",)),
    "application/x-archive": Kind("ar", ("ar",)),
    "application/vnd.debian.binary-package": Kind("ar", ("ar",)),
    "application/vnd.ms-cab-compressed": Kind(CAB, ("cab",), solid=True),
    "application/x-lha": Kind("lha", ("lha",)),
    "application/x-lzh-compressed": Kind("lha", ("lha",)),
    "application/gzip": Kind("gzip", _PACKED, "gzip"),
    "application/x-gzip": Kind("gzip", _PACKED, "gzip"),
    "application/x-bzip2": Kind("bzip2", _PACKED, "bzip2"),
    "application/x-xz": Kind("xz", _PACKED, "xz"),
    "application/x-lzma": Kind("lzma", _PACKED, "lzma"),
    "application/x-lzip": Kind("lzip", _PACKED, "lzip"),
    "application/x-lz4": Kind("lz4", _PACKED, "lz4"),
    "application/zstd": Kind("zstd", _PACKED, "zstd"),
    "application/x-zstd": Kind("zstd", _PACKED, "zstd"),
    "application/x-compress": Kind("compress", _PACKED, "compress"),
    "application/zlib": Kind("zlib", _PACKED, "zlib"),
    WITH_FILM: Kind(MOTION_PHOTO, ()),
    THUMBCACHE: Kind(THUMBNAILS, ()),
}
# Office documents hold pictures: zip archives whose media type says what their members make together.
_ZIP_BEGINNINGS = (
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/vnd.sun.xml.",
    "application/vnd.ms-visio.",
)
# How an archive begins that begins like nothing else, and its type
_SURE = (
    (b"PK\x03\x04", "application/zip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/x-rar"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
)


def kind_of(media_type: str) -> Kind | None:
    """How contents of that type are opened as archives; None where they are none."""
    found = _KINDS.get(media_type)
    if found is None and media_type.startswith(_ZIP_BEGINNINGS):
        return _ZIP
    return found


def archive_type(first: bytes, media_type: str) -> str:
    """The type of a content that begins with these bytes, of which libmagic says that type: the archive's, where they
    begin one and libmagic went by what lies in it. The name or the bytes of a first member can make it say anything.
    """
    sure = next((kind for magic, kind in _SURE if first.startswith(magic)), media_type)
    said, known = kind_of(media_type), kind_of(sure)
    return media_type if known is None or (said is not None and said.name == known.name) else sure


# How an archive file begins; a tar has no magic in its oldest form, but a checksum.
_MAGIC = (
    b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP", b"\x1f\x9d", b"070701", b"070702", b"070707", b"!<arch>\n",
    b"MSCF\x00\x00\x00\x00",
)  # fmt: skip


def begins_archive(head: bytes) -> bool:
    """Whether a file that begins with these 512 bytes is an archive, as far as they tell."""
    return head.startswith(_MAGIC) or is_tar(head)


def is_tar(head: bytes) -> bool:
    """Whether 512 bytes are a tar header: by its checksum (POSIX.1-2017, pax: ustar header block)."""
    if len(head) < BLOCK or not any(head):
        return False
    try:
        stated = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return sum(head[:148]) + 8 * 0x20 + sum(head[156:]) == stated
