"""A MaxMind DB file (https://maxmind.github.io/MaxMind-DB/, version 2.0): an operator's own, or any that is sold.

Read are the fields that MaxMind, DB-IP, IP2Location and IPinfo publish, and for an operator's own `country`,
`subdivision` and `kind`. Of a country or subdivision its code, never its name; of the kinds of network that a record
tells the one that asks for most caution. What it tells of the owner of a block or AS (`type`, `as_type`,
`registered_country`) is not of the address. Its date is `build_epoch` of its metadata.
"""

import ipaddress
import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import maxminddb

from clew.attribute.api import CAUTION, NO_COUNTRY, Answer, NetworkKind, OpenRegister, Register
from clew.core.errors import Damaged, Usage

KINDS: Mapping[str, NetworkKind] = {
    **{kind.value: kind for kind in NetworkKind},
    "residential": NetworkKind.ISP,
    "business": NetworkKind.ISP,
    "cellular": NetworkKind.MOBILE,
    "consumer_privacy_network": NetworkKind.PROXY,
}
COUNTRY = re.compile("[A-Z]{2}")
SUBDIVISION = re.compile("(?:[A-Z]{2}-)?[A-Z0-9]{1,3}")
# What the reader raises, besides its own, where a damaged file contradicts itself.
BROKEN = (
    *(maxminddb.InvalidDatabaseError, UnicodeDecodeError, struct.error),
    *(TypeError, AttributeError, LookupError, ArithmeticError, RecursionError),
)
FLAGS: Mapping[str, NetworkKind] = {
    "is_tor_exit_node": NetworkKind.TOR,
    **dict.fromkeys(("is_anonymous_vpn", "is_vpn", "vpn"), NetworkKind.VPN),
    **dict.fromkeys(("is_public_proxy", "is_residential_proxy", "is_legitimate_proxy", "is_proxy"), NetworkKind.PROXY),
    **dict.fromkeys(("proxy", "is_relay", "relay", "is_anonymous", "is_anonymous_proxy"), NetworkKind.PROXY),
    **dict.fromkeys(("is_tor", "tor"), NetworkKind.PROXY),  # IPinfo's: a relay of any kind, which need not be an exit
    **dict.fromkeys(("is_hosting_provider", "is_hosting", "hosting"), NetworkKind.HOSTING),
    "is_mobile": NetworkKind.MOBILE,
}
NAMES = ("kind", "network_kind", "user_type", "connection_type")
# Fields of files that list nothing else, and so have no flag: residential proxies (MaxMind, IPinfo), mobile carriers.
LISTED: Mapping[str, NetworkKind] = {
    **dict.fromkeys(("anonymizer_confidence", "network_last_seen", "percent_days_seen"), NetworkKind.PROXY),
    "mcc": NetworkKind.MOBILE,
}


class _Open:
    def __init__(self, path: Path) -> None:
        try:
            self._reader = maxminddb.open_database(
                path, maxminddb.MODE_MMAP_EXT if _extension() else maxminddb.MODE_MMAP
            )
        except FileNotFoundError as error:
            raise Usage(f"there is no register file {path}", "give the path of an .mmdb file") from error
        except (*BROKEN, OSError, ValueError) as error:
            raise Damaged(f"{path} is not a MaxMind DB: {error}", "fetch it again from where it came") from error
        self.data = path
        epoch = self._reader.metadata().build_epoch
        if not isinstance(epoch, int):
            raise Damaged(f"{path} is not a MaxMind DB: its date is none", "fetch it again from where it came")
        self.dated_ns: int | None = epoch * 1_000_000_000 if epoch else None

    def lookup(self, address: str) -> Answer:
        """See OpenRegister."""
        try:
            record, prefix = self._reader.get_with_prefix_len(address)
        except BROKEN as error:
            raise Damaged(f"the register cannot be read at {address}: {error}", "fetch it again") from error
        except ValueError:  # an IPv6 address asked of an IPv4 file, or no address at all
            return Answer()
        if not isinstance(record, dict):
            return Answer()
        network = str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
        return Answer(_country(record), _subdivision(record), _kind(record), network)


def _extension() -> bool:
    return bool(getattr(maxminddb, "HAS_EXTENSION", False))


def _text(value: Any) -> str | None:
    return value.strip().upper() or None if isinstance(value, str) else None


def _country(record: dict[str, Any]) -> str | None:
    """The first code of two letters: IPinfo has names in `country`, others a word or a dash for no country."""
    country = record.get("country")
    told = (country.get("iso_code") if isinstance(country, dict) else country, record.get("country_code"))
    codes = (code for code in map(_text, told) if code and COUNTRY.fullmatch(code) and code not in NO_COUNTRY)
    return next(codes, None)


def _subdivision(record: dict[str, Any]) -> str | None:
    listed = record.get("subdivisions")
    if isinstance(listed, list) and listed and isinstance(listed[0], dict):
        return _text(listed[0].get("iso_code"))
    region = record.get("region")  # a code in some files, in others a name
    coded = isinstance(region, str) and SUBDIVISION.fullmatch(region)
    return _text(record.get("subdivision")) or _text(record.get("region_code")) or (_text(region) if coded else None)


def _kind(record: dict[str, Any]) -> NetworkKind:
    traits = record.get("traits")
    told = {*_told(record), *(_told(traits) if isinstance(traits, dict) else ())}
    told = told or {kind for key, kind in LISTED.items() if record.get(key)}
    return next((kind for kind in CAUTION if kind in told), NetworkKind.UNKNOWN)


def _told(place: dict[str, Any]) -> Iterator[NetworkKind]:
    for flag, kind in FLAGS.items():
        # MaxMind says `is_anonymous` of every hosting provider. IPinfo wrote "true" before it had booleans.
        implied = flag == "is_anonymous" and place.get("is_hosting_provider") is True
        if place.get(flag) in (True, "true") and not implied:
            yield kind
    for key in NAMES:
        named = place.get(key)
        if isinstance(named, str) and named.lower() in KINDS:
            yield KINDS[named.lower()]


class Mmdb:
    """The plug-in."""

    name = "mmdb"
    what = "a MaxMind DB file: country, subdivision and, where it says so, the kind of network"

    def open(self, path: Path | None) -> OpenRegister:
        """See Register."""
        if path is None:
            raise Usage("the register mmdb needs a file", "write it as: --register mmdb:FILE")
        return _Open(path)

    def example(self, folder: Path) -> tuple[Path | None, Mapping[str, Answer]]:
        """See Register. One network of one country, written byte by byte as the format says."""
        path = folder / "example.mmdb"
        path.write_bytes(_example_file("AT", "9", "isp"))
        return path, {
            "128.0.0.1": Answer("AT", "9", NetworkKind.ISP, "128.0.0.0/1"),
            "127.0.0.1": Answer(),
            "2001:db8::1": Answer(),
        }


def _encoded(value: dict[str, Any] | list[Any] | int | str) -> bytes:
    """A value in the format's data section: control byte (type in the high 3 bits), then the payload."""
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(_encoded(k) + _encoded(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(map(_encoded, value))
    if isinstance(value, int):
        return bytes([4, 9 - 7]) + value.to_bytes(4, "big")  # extended type 9: uint64
    return bytes([2 << 5 | len(value)]) + value.encode()


def _example_file(country: str, subdivision: str, kind: str) -> bytes:
    """A tree of one node: left (addresses below 128.0.0.0) is empty, right is the one record."""
    nodes = 1
    record = {"country": {"iso_code": country}, "subdivisions": [{"iso_code": subdivision}], "kind": kind}
    tree = nodes.to_bytes(3, "big") + (nodes + 16).to_bytes(3, "big")
    metadata = {
        "node_count": nodes,
        "record_size": 24,
        "ip_version": 4,
        "database_type": "example",
        "languages": [],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "description": {"en": json.dumps("an example")},
    }
    return tree + bytes(16) + _encoded(record) + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata)


PLUGIN: Register = Mmdb()
