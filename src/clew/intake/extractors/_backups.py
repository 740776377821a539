"""Backups of telephones, as computers keep them, told from other contents by what they say of themselves."""

import plistlib

from clew.intake.api import ByteSource

XML, ADB = "text/xml", "application/x-google-ab"
MANIFEST = 32 << 20  # bytes; Manifest.plist lists the applications, and has some hundred KiB
_KEYS = (b"BackupKeyBag", b"IsEncrypted")  # theapplewiki.com, "iTunes Backup", Manifest.plist
_ADB = b"ANDROID BACKUP\n"  # Android, com.android.server.backup: then lines of version, packing and encryption
_LINES, _PLAIN = 64, b"none"  # bytes in which these four lines end; how the last one says that there is no password
DECRYPT = (
    "ask for its password, which is not the device's code, decrypt it with a tool for such backups and take in what "
    "comes out as an exhibit of its own"
)


def backup(source: ByteSource, head: bytes, otherwise: str) -> str:
    """What is not opened of a telephone, with what can be done (`otherwise`: where it is not encrypted); else "".
    Raises what plistlib does, of a Manifest.plist that breaks off.
    """
    if head.startswith(_ADB):
        lines = head[:_LINES].split(b"\n")
        plain = len(lines) > 3 and lines[3] == _PLAIN
        kind = "a backup of an Android device (.ab)"
        return f"{kind}, which is not opened: {otherwise}" if plain else f"{kind}, which is encrypted: {DECRYPT}"
    if head.startswith((b"bplist00", b"<?xml")) and source.size <= MANIFEST and _is_locked(source.read(0, source.size)):
        kind = "a backup of an iPhone or iPad, which is encrypted"
        return f"{kind}, so that the files beside its Manifest.plist are known by their hashes alone: {DECRYPT}"
    return ""


def _is_locked(data: bytes) -> bool:
    """Whether it is the Manifest.plist of a backup with a password."""
    if not all(key in data for key in _KEYS):
        return False
    said = plistlib.loads(data)
    return isinstance(said, dict) and "BackupKeyBag" in said and said.get("IsEncrypted") is True
