"""VICS JSON, 1.1 to 2.0, in the forms that were seen in the field; streaming, whatever the size.

The first keys name the model: `odata.metadata` = .../ProjectVic/DataModels/1.3.xml#Media, or `@odata.context` =
.../2.0.xml/US/$metadata#Cases. `#Media` lists media under `value`, `#Cases` under `value[0].Media`. The category's key
is (VICS, country model, version, code) as the file says it, never remapped; 0 is a value, null is none. Everything else
in a medium is kept verbatim, PhotoDNA values among it: carried, never matched.

A trap: NIST's "CAID" is the NSRL, known-good files, as 1.2.xml#Media with category 8 throughout. It is refused as
anything but known-good, and every other VICS file is refused as known-good.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, BinaryIO

import ijson

from clew.core.errors import Damaged, Refused
from clew.match.api import ALGORITHMS, OF_NOTHING, Dropped, Entry, Reader
from clew.match.bounded import Bounded
from clew.model import Category, HashSetKind

BOM = b"\xef\xbb\xbf"
CONTEXT_KEYS = ("@odata.context", "odata.metadata")
CONTEXT = re.compile(
    r".*/ProjectVic/DataModels/(?P<version>[0-9.]+)\.xml(?:/(?P<country>[A-Za-z]+)/\$metadata)?#(?P<list>Media|Cases)",
    re.IGNORECASE,
)
KNOWN_GOOD_CODE = "8"
UNSTATED = "unstated"
MAX_MEDIUM = 1 << 20
DIRECT = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "PDQ": "pdq"}


class Vics:
    """The plug-in."""

    name = "vics"
    version = "1"
    what = "VICS JSON 1.1 to 2.0 (observed forms), and NIST's known-good CAID"

    def recognises(self, head: bytes) -> bool:
        """See Reader."""
        text = head.removeprefix(BOM).lstrip()
        return text.startswith(b"{") and any(f'"{key}"'.encode() in text for key in CONTEXT_KEYS)

    def read(self, stream: BinaryIO, kind: HashSetKind) -> Iterator[Entry | Dropped]:
        """See Reader."""
        try:
            model = _model(_after_bom(stream))
            where = "value.item" if (model["list"] or "").lower() == "media" else "value.item.Media.item"
            guard = _Guard(kind, model["version"] or "")
            for medium in ijson.items(_after_bom(stream), where):
                if not isinstance(medium, dict):
                    yield Dropped("a medium that is no object")
                    continue
                category = _category(medium, model)
                guard.see(category)
                yield from _entries(medium, category)
            guard.end()
        except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
            raise Damaged(f"the JSON breaks: {error}", "ask the sender for the file again") from error

    def example(self) -> tuple[bytes, HashSetKind, list[Entry | Dropped]]:
        """See Reader. Hashes of the word "example" and of nothing."""
        md5, sha1 = "1a79a4d60de6718e8e5b326e338ae533", "c3499c2729730a7f807efb8676a92dcb6f8a3f8f"
        media: list[dict[str, Any]] = [
            {"MediaID": 1, "Category": 0, "MD5": md5.upper(), "SHA1": sha1, "MediaSize": "7", "IsDistributed": "true"},
            {"MediaID": 2, "Category": None, "MD5": "d41d8cd98f00b204e9800998ecf8427e", "MediaSize": 0},
            {"MediaID": 3, "Category": 2, "MD5": "short", "IsDistributed": False},
        ]
        context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
        entry = Entry(
            {"md5": bytes.fromhex(md5), "sha1": bytes.fromhex(sha1)}, Category("VICS", "US", "2.0", "0"), media[0]
        )
        dropped = [Dropped(r) for r in ("hash of zero bytes", "no usable hash", "unparsable md5", "no usable hash")]
        return (
            BOM + json.dumps({"@odata.context": context, "value": media}).encode(),
            HashSetKind.ALERT,
            [entry, *dropped],
        )


class _Guard:
    """Holds the kind that a person stated against what the categories of the file say."""

    def __init__(self, kind: HashSetKind, version: str) -> None:
        self.kind, self.old, self.codes = kind, version.startswith("1."), 0

    def see(self, category: Category | None) -> None:
        """Raises Refused at the first entry that says the opposite of the kind."""
        good = self.old and category is not None and category.code == KNOWN_GOOD_CODE
        if good and self.kind is not HashSetKind.KNOWN_GOOD:
            raise Refused(
                f"this file marks entries as category 8, as NIST's known-good CAID does; it is not of kind {self.kind}",
                "if these are known-good files, add it with --kind known-good",
            )
        if not good and self.kind is HashSetKind.KNOWN_GOOD:
            raise Refused(
                "a VICS file with other categories than 8 is no list of known-good files",
                "add it with --kind alert, or --kind reference",
            )
        self.codes += 1

    def end(self) -> None:
        """Raises Damaged where nothing was listed at all."""
        if not self.codes:
            raise Damaged("the file lists no media", "see whether its list is called `value` (or `value[0].Media`)")


def _after_bom(stream: BinaryIO) -> Bounded:
    stream.seek(0)
    if stream.read(len(BOM)) != BOM:
        stream.seek(0)
    return Bounded(stream)


def _model(stream: Bounded) -> Mapping[str, str | None]:
    """Version, country model and kind of list, from the key that names the model; on the top level, anywhere."""
    for prefix, event, value in ijson.parse(stream):
        if prefix in CONTEXT_KEYS and event == "string":
            found = CONTEXT.fullmatch(value)
            if found is None:
                raise Damaged(
                    f"an unknown VICS model: {value[:200]}", "clew reads models 1.1 to 2.0, #Media and #Cases"
                )
            return found.groupdict()
    raise Damaged("the file names no VICS model", f"one of these keys must stand in it: {', '.join(CONTEXT_KEYS)}")


def _category(medium: Mapping[str, Any], model: Mapping[str, str | None]) -> Category | None:
    code = medium.get("Category")
    if code is None or isinstance(code, (bool, dict, list)) or not str(code).strip():
        return None
    return Category("VICS", model["country"] or UNSTATED, model["version"] or "", str(code).strip())


def _entries(medium: dict[str, Any], category: Category | None) -> Iterator[Entry | Dropped]:
    """One medium: what is dropped of it, each with its reason, and the entry if a hash remains."""
    verbatim = json.loads(json.dumps(medium, default=_number))
    if len(json.dumps(verbatim)) > MAX_MEDIUM:
        yield Dropped("a medium of more than 1 MiB")
        return
    hashes: dict[str, bytes] = {}
    for algorithm, text in _told(medium):
        value = _value(algorithm, text)
        if value is None:
            yield Dropped(f"unparsable {algorithm}")
        elif value in OF_NOTHING:
            yield Dropped("hash of zero bytes")
        elif hashes.setdefault(algorithm, value) != value:
            yield Dropped(f"second, different {algorithm} of one medium")
    yield Entry(hashes, category, verbatim) if hashes else Dropped("no usable hash")


def _told(medium: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The hashes a medium tells, direct and under AlternativeHashes, PhotoDNA left aside."""
    for key, algorithm in DIRECT.items():
        told = medium.get(key)
        if told is not None and not (isinstance(told, str) and not told.strip()):
            yield algorithm, told if isinstance(told, str) else ""  # what is no text counts as unparsable
    others = medium.get("AlternativeHashes")
    for other in others if isinstance(others, list) else ():
        if isinstance(other, dict) and isinstance(other.get("HashName"), str):
            algorithm = DIRECT.get(other["HashName"].upper().replace("-", ""), "")
            if algorithm and isinstance(other.get("HashValue"), str):
                yield algorithm, other["HashValue"]


def _value(algorithm: str, text: str) -> bytes | None:
    try:
        value = bytes.fromhex(text.strip())
    except ValueError:
        return None
    return value if len(value) == ALGORITHMS[algorithm] else None


def _number(value: Any) -> float | str:
    """The parser gives fractions as Decimal; what a float cannot hold stays as text."""
    if isinstance(value, Decimal) and Decimal(repr(float(value))) == value:
        return float(value)
    return str(value)


PLUGIN: Reader = Vics()
