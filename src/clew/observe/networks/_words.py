"""Words of strangers (a client's name, a tracker's reason), made fit to be shown and kept."""

import re

CODE = re.compile(r"[0-9A-Za-z]{32,}")  # long enough for an infohash in hexadecimal or base 32; no word is


def plain(text: bytes, most: int) -> str:
    """At most `most` bytes as printable text. What could be an infohash is left out: it may be copied from nowhere."""
    decoded = CODE.sub("(code left out)", text.decode("utf-8", "replace"))
    cut = decoded.encode()[:most].decode("utf-8", "ignore")
    return (cut if cut.isprintable() else "".join(c if c.isprintable() else "?" for c in cut)).strip()
