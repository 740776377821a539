"""Media types in families that a person thinks in. By type alone: nothing here was read."""

from clew.intake.archives.kinds import kind_of

PICTURES, VIDEOS, AUDIO = "pictures", "videos", "audio"
DOCUMENTS, CHATS, ARCHIVES, PROGRAMS = "documents", "chats and databases", "archives", "programs"
NOT_OPENED = "archives and disk images that are not opened"
EMPTY, UNKNOWN = "empty", "unknown"
ORDER = (PICTURES, VIDEOS, AUDIO, DOCUMENTS, CHATS, ARCHIVES, NOT_OPENED, PROGRAMS, EMPTY, UNKNOWN)
NOT_READ = (DOCUMENTS, CHATS)

_BY_MAJOR = {"image": PICTURES, "video": VIDEOS, "audio": AUDIO, "text": DOCUMENTS, "font": PROGRAMS}
_BY_WORD = (  # the first word that a type of application/* holds decides
    (CHATS, ("sqlite", "ms-access", "msaccess", "mbox", "vnd.ms-outlook", "dbf", "berkeley", "leveldb")),
    (ARCHIVES, ("zip", "7z", "rar", "-tar", "xz", "zstd", "lzma", "lzip", "lz4", "vnd.ms-cab", "-cpio", "-arj", "-lha",
                "java-archive", "-iso9660", "apple-diskimage", "-compress", "-archive", "x-ace", "x-alz", "x-arc",
                "-stuffit", "x-zoo", "-ms-wim", "x-xar", "x-thumbcache", "x-google-ab")),
    (PROGRAMS, ("executable", "sharedlib", "dosexec", "portable-exec", "mach-binary", "-object", "bytecode", "wasm",
                "java-applet", "coredump", "msdownload", "-msi")),
    (DOCUMENTS, ("pdf", "word", "excel", "powerpoint", "officedocument", "opendocument", "rtf", "epub", "postscript",
                 "json", "xml", "cdfv2", "ms-office", "javascript", "x-hwp", "vnd.ms-", "mobipocket", "tnef")),
    (VIDEOS, ("mxf", "rn-realmedia", "ogg", "x-matroska")),
)  # fmt: skip


def family(media_type: str | None) -> str:
    """The family of a type, "unknown" for octet streams and whatever stands nowhere here."""
    major, _, minor = (media_type or "").lower().partition("/")
    if media_type in {"inode/x-empty", "application/x-empty"}:
        return EMPTY
    if major == "message":
        return CHATS
    if major != "application":
        return _BY_MAJOR.get(major, UNKNOWN)
    found = next((name for name, words in _BY_WORD if any(word in minor for word in words)), UNKNOWN)
    return NOT_OPENED if found == ARCHIVES and kind_of(f"{major}/{minor}") is None else found
