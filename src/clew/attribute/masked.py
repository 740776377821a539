"""What people may be shown of words that others chose: no copyable infohash, no control code.

Clients name files by infohashes, so they stand in paths and names, and a peer may call itself what it likes.
"""

import base64
import re
from collections.abc import Iterable, Mapping

from clew.core.printable import printable
from clew.model import Watch

HEX = re.compile(r"[0-9A-Fa-f]{40,}")  # an infohash of v1 has 40 digits, of v2 64
BASE32 = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Z]*[2-7])[A-Z2-7]{32}(?![A-Za-z0-9])|(?<![A-Za-z0-9])[a-z2-7]{32}(?![A-Za-z0-9])"
)


class Masked:
    """Takes infohashes out of text: those of Watches become their labels (a torrent may be that of several), others
    are counted in digits.
    """

    def __init__(self, watches: Iterable[Watch]) -> None:
        self._labels: dict[str, str] = {}
        for each in watches:
            for infohash in (each.infohash_v1, each.infohash_v2):
                if infohash:
                    for digits in (infohash.hex(), base64.b32encode(infohash[:20]).decode().lower()):
                        before = self._labels.get(digits)
                        self._labels[digits] = f"{before}, {each.label}" if before else each.label

    def __call__(self, text: str) -> str:
        """The text without them, on one line that can be printed."""
        return printable(BASE32.sub(self._named, HEX.sub(self._named, text)))

    def _named(self, found: re.Match[str]) -> str:
        digits = found.group().lower()
        label = _known(self._labels, digits)
        return f"[infohash of {label}]" if label else f"[{len(digits)} digits]"


def _known(labels: Mapping[str, str], digits: str) -> str | None:
    """The Watches whose infohash stands in these digits, perhaps among others."""
    return labels.get(digits) or next((label for infohash, label in labels.items() if infohash in digits), None)
