"""known-hashes.vics.json: what people graded, as VICS 2.0 JSON (the variants seen in the field; the specification is
shared under agreement only, so clew says "writes observed VICS 2.0", never "certified").

`@odata.context` comes first and `value` second, since readers in use accept nothing else. A category is the key
(scheme, country, version, code): it is written as it was decided, never translated, and every entry names its scheme.
Only grades that a person decided or confirmed are here; no paths or names, no PhotoDNA.
"""

import json
from collections.abc import Iterator

from clew.core import clock
from clew.share.api import Exporter, KnownHash, Package
from clew.share.examples import EXAMPLES

CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{}/$metadata#Media"
PLAIN_NUMBERS = frozenset(str(n) for n in range(256))
COUNTRIES = {"US": "US", "GB": "UK", "UK": "UK"}


class Vics:
    """VICS 2.0 `#Media`; the context names the country only where every entry is graded by that country's scheme."""

    name = "vics"
    filename = "known-hashes.vics.json"
    examples = EXAMPLES

    def export(self, package: Package) -> Iterator[bytes]:
        """Yields the head, then one entry a line."""
        yield f'{{\n"@odata.context": {_text(context(package))},\n"value": ['.encode()
        for number, known in enumerate(package.known, 1):
            yield (",\n" if number > 1 else "\n").encode() + _text(_media(number, known)).encode()
        yield b"\n]\n}\n"


def context(package: Package) -> str:
    """The `@odata.context` of this package's grades: US, UK, or CUSTOM for any other scheme or a mixture."""
    countries = {(k.category.country, k.category.version) for k in package.known}
    if len(countries) == 1:
        country, version = countries.pop()
        if version == "2.0" and country in COUNTRIES:
            return CONTEXT.format(COUNTRIES[country])
    return CONTEXT.format("CUSTOM")


def _media(number: int, known: KnownHash) -> dict[str, object]:
    md5 = known.md5.hex().upper()
    code = known.category.code
    how = "confirmed by a person" if known.confirmed_near is not None else "decided by a person"
    return {
        "MediaID": number,
        "Category": int(code) if code in PLAIN_NUMBERS else code,
        "MD5": md5,
        "SHA1": known.sha1.hex().upper(),
        "MediaSize": known.size,
        "MimeType": known.media_type,
        "DateUpdated": clock.iso(known.graded_ns),
        "IsPrecategorized": False,
        "Comments": f"scheme {known.category.scheme}, country {known.category.country}, "
        f"version {known.category.version}; {how}",
        "AlternativeHashes": [{"HashName": "SHA256", "HashValue": known.sha256.hex().upper(), "MD5": md5}],
    }


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


PLUGIN: Exporter = Vics()
