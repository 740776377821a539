"""The registers of an operation: an MMDB, a second one as CSV that disputes some blocks, and a list of network kinds.

Formats: MaxMind DB 2.0 (https://maxmind.github.io/MaxMind-DB/), and CSV `network,country,subdivision,kind`.
"""

import csv
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from clew.range.places import COUNTRIES, Network, networks

HEADER = ("network", "country", "subdivision", "kind")


def write_registers(folder: Path) -> dict[str, Path]:
    """Writes all three into `folder`: {"assigned": .mmdb, "second": .csv, "kinds": .csv}."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: folder / name for name in ("assigned.mmdb", "second.csv", "kinds.csv")}
    plan = networks()
    _mmdb(plan, found["assigned.mmdb"])
    _rows(found["second.csv"], ((n.cidr, second_opinion(n), n.place.region or "", "") for n in plan))
    _rows(found["kinds.csv"], ((n.cidr, "", "", n.kind) for n in plan if n.kind))
    return {path.stem: path for path in found.values()}


def second_opinion(network: Network) -> str:
    """The country that the second register tells: the true one, but for disputed blocks that of the next octet."""
    codes = [code for code, *_ in COUNTRIES]
    if not network.disputed:
        return network.place.country
    return codes[(codes.index(network.place.country) + 1) % len(codes)]


def _mmdb(plan: tuple[Network, ...], path: Path) -> None:
    from mmdb_writer import MMDBWriter
    from netaddr import IPSet

    writer = MMDBWriter(ip_version=4, database_type="clew-range", description="closed training range")
    for network in plan:
        place = network.place
        record: dict[str, object] = {"country": {"iso_code": place.country}}
        if place.region:
            record["subdivisions"] = [{"iso_code": place.region}]
        writer.insert_network(IPSet([network.cidr]), record)
    writer.to_db_file(str(path))


def _rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(time.strftime("# dated: %Y-%m-%d\n", time.gmtime()))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
