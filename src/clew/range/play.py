"""The range's own processes: `python -m clew.range.play swarm|seeders`, spoken to in JSON lines on standard input.

First line: the Playbill. `swarm` (fakes, trackers, DHT) then takes {"start_at": seconds} and {"stop": true}; both print
{"ready": ...} and, at the end, their report. Standard input that ends means that the parent is gone: they end too, and
so they do after LONGEST_RUN seconds, so that nothing outlives an operation.
"""

import asyncio
import faulthandler
import gc
import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clew.range import scenario_file
from clew.range.cast import make_scenario
from clew.range.places import TRACKER_ADDRESSES
from clew.range.scenario import Scenario
from clew.range.seeders import Seeders
from clew.range.swarm import Swarm
from clew.range.trackers import Tracker
from clew.range.udp_services import UdpServices

LONGEST_RUN = 3600.0


@dataclass(frozen=True, slots=True)
class Playbill:
    """All that makes a scenario again in another process, and where its files may lie.

    `scenario_file` is the text of the scenario file.
    """

    seed: int
    scenario_file: str
    ports: tuple[int, ...]
    real_port: int
    tracker_port: int
    folder: str
    canary: str

    def scenario(self) -> Scenario:
        """The operation that this names; equal in every process."""
        plan = scenario_file.parse(self.scenario_file)
        return make_scenario(self.seed, plan, ports=self.ports, real_port=self.real_port)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Playbill":
        """The inverse of `to_json`."""
        fields = json.loads(line)
        return cls(**{**fields, "ports": tuple(fields["ports"])})


async def _swarm(bill: Playbill) -> None:
    loop = asyncio.get_running_loop()
    scenario = bill.scenario()
    swarm = Swarm(scenario, bytes.fromhex(bill.canary))
    trackers = [Tracker(scenario, index) for index in range(len(TRACKER_ADDRESSES))]
    for tracker, address in zip(trackers, TRACKER_ADDRESSES, strict=True):
        await tracker.listen(address, bill.tracker_port)
    services = UdpServices(scenario, bill.tracker_port)
    services.listen()
    await swarm.listen()
    gc.freeze()  # the parties stay: no collection has to look at tens of thousands of them again
    _say({"ready": len(scenario.parties)})
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if "start_at" in order:
            swarm.script.start_at = order["start_at"]
            services.start_at(order["start_at"])
            for tracker in trackers:
                tracker.desk.start_at = order["start_at"]
            _say({"started": True})
        else:
            break
    _say({"audit": swarm.audit.report(), "sources": [*(t.report() for t in trackers), *services.reports()]})
    services.close()
    for tracker in trackers:
        tracker.close()
    await swarm.close()


def _seeders(bill: Playbill) -> None:
    seeders = Seeders(bill.scenario(), Path(bill.folder), bill.tracker_port)
    _say({"ready": seeders.start()})
    sys.stdin.readline()
    seeders.stop()
    _say({"stopped": True})


def _say(data: dict[str, Any]) -> None:
    print(json.dumps(data), flush=True)


def main(part: str) -> None:
    """Plays one part until told to stop."""
    faulthandler.enable()
    watchdog = threading.Timer(LONGEST_RUN, os._exit, (1,))
    watchdog.daemon = True
    watchdog.start()
    bill = Playbill.from_json(sys.stdin.readline())
    if part == "swarm":
        asyncio.run(_swarm(bill))
    else:
        _seeders(bill)
    os._exit(0)  # libtorrent's threads may take seconds to tell trackers that they go; nobody waits for them


if __name__ == "__main__":
    main(sys.argv[1])
