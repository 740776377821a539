"""The country an address block was assigned to by its regional registry; data of the `iptocc` package.

Assigned is not used: the package's own documentation states agreement with MaxMind for about 95% of IPv4 addresses.
It does not say when its data were made, so a run that rests on it alone is "uncertain" until the operator states a
date.
"""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import iptocc

from clew.attribute.api import NO_COUNTRY, Answer, OpenRegister, Register
from clew.core.errors import Usage


class _Open:
    dated_ns: int | None = None

    def __init__(self) -> None:
        folder = Path(iptocc.__file__).parent
        self.data = next(folder.glob("iptocc*.so"), Path(iptocc.__file__))

    def lookup(self, address: str) -> Answer:
        """See OpenRegister."""
        country = iptocc.country_code(address)
        return Answer(country=country) if country and country not in NO_COUNTRY else Answer()


class Iptocc:
    """The plug-in."""

    name = "iptocc"
    what = f"country of assignment by the regional registries (package iptocc {metadata.version('iptocc')})"

    def open(self, path: Path | None) -> OpenRegister:
        """See Register."""
        if path is not None:
            raise Usage("the register iptocc takes no file", "write it as: --register iptocc")
        return _Open()

    def example(self, folder: Path) -> tuple[Path | None, Mapping[str, Answer]]:  # noqa: ARG002 - its data come with it
        """See Register. Addresses of a registry, of a block of no country, and of documentation (RFC 5737)."""
        unknown = ("145.218.1.91", "192.0.2.1", "127.0.0.1", "no address")  # the first: of Europe, of no country
        return None, {"193.0.6.139": Answer("NL")} | dict.fromkeys(unknown, Answer())


PLUGIN: Register = Iptocc()
