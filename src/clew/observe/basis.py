"""Whether a Sighting stands on what the case holds: its run, that run's policy and vantage point, and its Mandate."""

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from clew.core import mandate
from clew.core.case import Case
from clew.core.errors import Refused
from clew.model import Mandate, SightingKind
from clew.observe.api import SECOND, Limits, is_address
from clew.observe.policy import DHT, PEX, PURPOSE, Policy, named

OUR_CONTACT = (SightingKind.CONTACT, SightingKind.CONTROL)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run's record in the case says. `limits` is None where its policy is not one of this clew."""

    number: int
    config: str
    vantage: str
    limits: Limits | None
    interval_ns: int
    base_ns: int


@dataclass(frozen=True, slots=True)
class Basis:
    """The case's runs and Mandates, each Mandate's signature checked now."""

    runs: Mapping[str, Run]
    mandates: Mapping[str, Mandate]

    def wrong(self, row: Mapping[str, Any], network: str) -> list[str]:
        """What of this Sighting's record does not hold."""
        run = self.runs.get(row["run"])
        if run is None:
            return ["its run is not in the case"]
        found = [] if row["config"] == run.config else ["the configuration is not that of its run"]
        found += [] if row["vantage"] == run.vantage else ["the vantage point is not that of its run"]
        if row["mandate"] or row["transcript"]:  # a call that was never made needs none
            found += self._uncovered(row, network)
        return found

    def _uncovered(self, row: Mapping[str, Any], network: str) -> list[str]:
        found = self.mandates.get(row["mandate"])
        if found is None:
            return ["its mandate is not in the case"]
        name, told = named(row["source"]), row["kind"] == SightingKind.LISTED.value
        address = row["address"] if row["kind"] in OUR_CONTACT else None
        if told and name == DHT:
            address = _node(row["source"])
            if address is None:
                return ["its source names no node of the DHT"]
        wanted = {"network": network, "tracker": None if told and name == PEX else name}
        wanted["permit"] = name if told and name in (DHT, PEX) else None  # permits are named as sources are
        why = mandate.outside(found, PURPOSE, row["started_ns"], address, wanted)
        return [f"its mandate does not cover it: {why}"] if why else []


def basis(case: Case) -> Basis:
    """Raises Damaged where a Mandate's signature does not hold."""
    runs = {row["id"]: _run(row) for row in case.read().execute("SELECT * FROM observe_runs")}
    return Basis(runs, {each.id: each for each in mandate.all_of(case)})


def _run(row: Any) -> Run:
    text = row["config"]
    policy = json.loads(text)
    policy |= {name: tuple(value) for name, value in policy.items() if isinstance(value, list)}
    limits, interval_ns = None, 0
    if policy.keys() <= {each.name for each in fields(Policy)}:
        try:
            made = Policy(**policy)
        except Refused:
            made = None
        if made is not None:
            limits, interval_ns = made.limits(), int(made.revisit * SECOND)
    config = hashlib.sha256(text.encode()).hexdigest()
    return Run(row["number"], config, row["vantage"], limits, interval_ns, row["steady_ns"])


def _node(source: str) -> str | None:
    """The address of a node, of its source dht://ADDRESS:PORT; None where there is none."""
    host = source.removeprefix(f"{DHT}://").rpartition(":")[0].strip("[]")
    return host if is_address(host) else None


def same_place(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether both are one endpoint; port 0 stands for one that was not kept."""
    same = ipaddress.ip_address(one[0]) == ipaddress.ip_address(other[0])
    return same and (one[1] == other[1] or not one[1])
