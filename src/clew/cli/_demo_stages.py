"""The stages as the demo runs them: the same functions that the verbs of the command line call."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core import forces, keys, mandate, watch
from clew.core.case import Case
from clew.core.errors import ClewError
from clew.model import Bundle, Category, Force
from clew.range.disk import Seizure
from clew.range.given import OPERATION, Given
from clew.range.operation import Operation
from clew.range.places import COORDINATOR

AUTHORITY = "authority"
REVIEWER = "demo reviewer"
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What the stages said, for the summary and the report."""

    observe: dict[str, Any] = field(default_factory=dict)
    attribute: dict[str, Any] = field(default_factory=dict)
    intake: dict[str, Any] = field(default_factory=dict)
    match: dict[str, Any] = field(default_factory=dict)
    identify: dict[str, Any] = field(default_factory=dict)
    graded: int = 0
    bundles: list[Bundle] = field(default_factory=list)
    verified: dict[str, str] = field(default_factory=dict)
    tampered: str = ""


def make_keys(folder: Path, codes: list[str]) -> None:
    """The authority's key, the coordinating force's, and two for each force, in folders of their own."""
    keys.new_signing_key(AUTHORITY, folder / "keys" / "authority")
    for code in (COORDINATOR, *codes):
        home = force_keys(folder, code)
        keys.new_signing_key(code, home)
        keys.new_age_identity(code, home)


def force_keys(folder: Path, code: str) -> Path:
    """Where one force's private keys lie: never in a case, and never beside another force's."""
    return folder / "keys" / code


def open_operation(folder: Path, given: Given) -> Case:
    """The coordinating force's case, with mandate, watches and the keys that each force gave."""
    public = keys.public_hex(keys.signing_key(AUTHORITY, folder / "keys" / "authority"))
    case = Case.create(folder / "case", operation=OPERATION, force=COORDINATOR, authority=public, actor="demo")
    mandate.add(case, given.mandate.read_bytes())
    for path in given.watches:
        watch.add(case, path.read_bytes())
    for each in given.forces:
        home = force_keys(folder, each.code)
        recipient = (home / f"{each.code}.recipient").read_text("ascii").strip()
        signer = keys.public_hex(keys.signing_key(each.code, home))
        forces.add(case, Force(each.code, each.name, each.country, each.region, recipient, signer))
    forces.add(case, coordinator(folder))
    return case


def coordinator(folder: Path) -> Force:
    """The force that holds the operation's case."""
    home = force_keys(folder, COORDINATOR)
    recipient = (home / f"{COORDINATOR}.recipient").read_text("ascii").strip()
    signer = keys.public_hex(keys.signing_key(COORDINATOR, home))
    return Force(COORDINATOR, "Coordinating training unit", COORDINATOR, None, recipient, signer)


def take_disk(case: Case, seizure: Seizure, outcome: Outcome, say: Say) -> None:
    """The seized disk through intake; the hash sets; match; identify."""
    from clew.identify.run import identify
    from clew.intake.run import exact, intake
    from clew.match.run import add_hashset, confirm, match
    from clew.model import HashSetKind

    say("taking in the seized disk")
    outcome.intake = as_dict(intake(case, path=seizure.image, label="disk-1", workers=2))
    say("adding hash sets")
    add_hashset(case, path=seizure.hashset, name="training alert", kind=HashSetKind.ALERT)
    add_hashset(case, path=seizure.known_good, name="training known-good", kind=HashSetKind.KNOWN_GOOD)
    say("matching")
    found = match(case)
    if found.wants_exact:
        say("looking again at what is near")
        exact(case, list(found.wants_exact))
        found = confirm(case)
    outcome.match = as_dict(found)
    say("grouping what is new")
    outcome.identify = as_dict(identify(case))


def grade_exact(case: Case, outcome: Outcome) -> None:
    """Enters a grade for each Content that an alert set knows exactly, under the name "demo reviewer".

    In an operation only people grade; the demo needs confirmed hashes to share, and says whose they are.
    """
    from clew.review.grading import grade

    rows = case.read().execute(
        "SELECT DISTINCT content, scheme, country, version, code FROM hits"
        " WHERE kind='alert' AND distance=0 AND algorithm<>'pdq' AND code IS NOT NULL ORDER BY content"
    )
    for row in rows.fetchall():
        category = Category(row["scheme"], row["country"], row["version"], row["code"])
        grade(case, REVIEWER, bytes(row["content"]), category)
        outcome.graded += 1


def share_all(folder: Path, case: Case, outcome: Outcome, say: Say) -> None:
    """A bundle for each force; each received into that force's own case; one tampered copy must be refused."""
    from clew.share.run import build_all

    home = force_keys(folder, COORDINATOR)
    outcome.bundles = build_all(
        case,
        out=folder / "bundles",
        key_name=COORDINATOR,
        keys_folder=home,
        progress=lambda code: say(f"sealing the bundle of {code}"),
    )
    for bundle in outcome.bundles:
        say(f"{bundle.force} receives and verifies")
        outcome.verified[bundle.force] = receive_one(folder, bundle)
    outcome.tampered = receive_tampered(folder, outcome.bundles[0])


def receive_one(folder: Path, bundle: Bundle) -> str:
    """One force takes its bundle into a case of its own; returns what was checked."""
    from clew.share.receive import receive

    case = _case_of(folder, bundle.force, folder / "forces" / bundle.force)
    try:
        received = receive(case, Path(bundle.path), keys_folder=force_keys(folder, bundle.force))
    finally:
        case.close()
    return f"{len(received.checks)} checks"


def receive_tampered(folder: Path, bundle: Bundle) -> str:
    """Flips one bit in the middle of a copy, gives it to a fresh case; returns the refusal, "" where there was none."""
    from clew.share.receive import receive

    copy = folder / "tampered" / Path(bundle.path).name
    copy.parent.mkdir()
    shutil.copyfile(bundle.path, copy)
    with copy.open("r+b") as file:
        file.seek(copy.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes((byte ^ 1,)))
    case = _case_of(folder, bundle.force, folder / "tampered" / "case")
    try:
        receive(case, copy, keys_folder=force_keys(folder, bundle.force))
    except ClewError as refusal:
        return refusal.message
    finally:
        case.close()
    return ""


def observe_swarm(case: Case, operation: Operation, outcome: Outcome, say: Say) -> None:
    """Observes for as long as the scenario lasts, by all that it offers, as fast as it says."""
    from clew.core.long_run import settle_in
    from clew.observe.policy import Policy
    from clew.observe.run import observe

    settle_in()
    timing, pace = operation.scenario.timing, operation.scenario.pace
    policy = Policy(
        revisit=timing.revisit,
        announce=pace.announce,
        per_second=pace.rate,
        concurrent=pace.at_once,
        gossip=True,
    )

    def progress(state: dict[str, object]) -> None:
        say(f"{state['contacts']} contacts, {state['in_flight']} under way")

    outcome.observe = as_dict(
        observe(
            case,
            trackers=operation.trackers + operation.dht_nodes,
            seconds=timing.seconds,
            policy=policy,
            progress=progress,
        )
    )
    if outcome.observe["stopped"] == "interrupted":
        raise KeyboardInterrupt


def attribute_leads(case: Case, given: Given, outcome: Outcome) -> None:
    """Leads from three registers, two of which name countries and sometimes disagree."""
    from clew.attribute.api import RegisterSpec
    from clew.attribute.run import attribute

    registers = [
        RegisterSpec("mmdb", given.registers["assigned"]),
        RegisterSpec("prefixes", given.registers["second"]),
        RegisterSpec("prefixes", given.registers["kinds"]),
    ]
    outcome.attribute = as_dict(attribute(case, registers=registers))


def as_dict(summary: Any) -> dict[str, Any]:
    """A stage's Summary as plain values."""
    found: dict[str, Any] = summary.as_dict()
    return found


def _case_of(folder: Path, code: str, where: Path) -> Case:
    public = keys.public_hex(keys.signing_key(AUTHORITY, folder / "keys" / "authority"))
    case = Case.create(where, operation=OPERATION, force=code, authority=public, actor=f"{code} demo")
    forces.add(case, coordinator(folder))
    return case
