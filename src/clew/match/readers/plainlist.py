"""A plain list of hashes in hexadecimal, one a line; the length tells which: 32 md5, 40 sha1, 64 sha256.

`pdq:` (or any other algorithm's name) may stand before the hash, as a PDQ has 64 digits too. What follows a hash after
a blank is kept as a note, so that the output of sha256sum reads as it is. Lines with # are comments.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from clew.core.errors import Damaged
from clew.match.api import ALGORITHMS, OF_NOTHING, Dropped, Entry, Reader
from clew.model import HashSetKind

BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256"}
MAX_LINE = 64 * 1024
LINE = re.compile(rb"(?:(md5|sha1|sha256|pdq):)?\\?([0-9a-fA-F]{32,64})(?:\s+(.*))?", re.DOTALL)


class PlainList:
    """The plug-in."""

    name = "plainlist"
    version = "1"
    what = "hashes in hexadecimal, one a line: md5, sha1, sha256, and PDQ with pdq: before it"

    def recognises(self, head: bytes) -> bool:
        """See Reader."""
        lines = [line.strip() for line in head.removeprefix(b"\xef\xbb\xbf").splitlines()[:50]]
        told = [line for line in lines if line and not line.startswith(b"#")]
        return bool(told) and _entry(told[0]) is not None

    def read(self, stream: BinaryIO, kind: HashSetKind) -> Iterator[Entry | Dropped]:  # noqa: ARG002 - a list says no kind
        """See Reader."""
        found = False
        for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), 1):
            line = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
            if not line or line.startswith(b"#"):
                continue
            entry = _entry(line)
            if entry is None and not found:
                raise Damaged(f"line {number} holds no hash", "give one hash a line: md5, sha1, sha256, or pdq:...")
            found = True
            yield entry or Dropped("unparsable line")

    def example(self) -> tuple[bytes, HashSetKind, list[Entry | Dropped]]:
        """See Reader. Hashes of the words "example" and of nothing, and a made-up PDQ."""
        md5, sha1 = "1a79a4d60de6718e8e5b326e338ae533", "c3499c2729730a7f807efb8676a92dcb6f8a3f8f"
        sha256 = "50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"
        text = f"# a comment\n\n{md5.upper()}\n{sha1}  a name.bin\nno hash\npdq:{sha256}\n{sha256}\n{'':#<3}\n"
        text += "d41d8cd98f00b204e9800998ecf8427e  empty\n"
        return (
            text.encode(),
            HashSetKind.KNOWN_GOOD,
            [
                Entry({"md5": bytes.fromhex(md5)}, None, {}),
                Entry({"sha1": bytes.fromhex(sha1)}, None, {"note": "a name.bin"}),
                Dropped("unparsable line"),
                Entry({"pdq": bytes.fromhex(sha256)}, None, {}),
                Entry({"sha256": bytes.fromhex(sha256)}, None, {}),
                Dropped("hash of zero bytes"),
            ],
        )


def _entry(line: bytes) -> Entry | Dropped | None:
    found = LINE.fullmatch(line)
    if found is None:
        return None
    named, digits, note = found.groups()
    algorithm = named.decode() if named else BY_LENGTH.get(len(digits))
    if algorithm is None or len(digits) != 2 * ALGORITHMS[algorithm]:
        return None
    value = bytes.fromhex(digits.decode())
    if value in OF_NOTHING:
        return Dropped("hash of zero bytes")
    return Entry({algorithm: value}, None, {"note": note.decode("utf-8", "replace")} if note else {})


PLUGIN: Reader = PlainList()
