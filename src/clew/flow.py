"""The map of clew: the stages in order, and what each reads and writes. Data only.

The README's table is generated from it, and `core.db` lets a stage write the tables that stand here under its name and
no others (SQLite's authorizer refuses them).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the flow. `tables` are its own in case.db, `shards` its own kinds of Parquet facts."""

    name: str
    does: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    tables: tuple[str, ...]
    shards: tuple[str, ...] = ()


FLOW: tuple[Stage, ...] = (
    Stage(
        "observe",
        "contacts those who are listed for a Watch and keeps proof of what they claim",
        ("Watch", "Mandate"),
        ("Sighting",),
        ("endpoints", "dials", "forgotten_dials", "first_lists", "observe_runs", "observe_gaps", "asked", "captures"),
        ("sightings",),
    ),
    Stage(
        "attribute",
        "turns Sightings into ranked Leads per force, with all that speaks against them",
        ("Sighting", "Trait"),
        ("Subject", "Lead"),
        (
            "registers",
            "subjects",
            "subject_intervals",
            "possible_links",
            "leads",
            "lead_details",
            "urgencies",
            "prior_knowledge",
            "statements",
            "corroborations",
        ),
    ),
    Stage(
        "intake",
        "reads an Exhibit, and accounts for every Item in it",
        ("Exhibit",),
        ("Item", "Content", "Trait"),
        ("exhibits", "exhibit_runs", "intake_runs", "intake_looks", "batches", "items"),
        ("listings", "contents", "traits"),
    ),
    Stage(
        "match",
        "recognises what is known",
        ("Trait", "HashSet"),
        ("Hit",),
        ("hashsets", "hits"),
    ),
    Stage(
        "identify",
        "groups what is new into Series",
        ("Trait", "Hit"),
        ("Link", "Series"),
        ("links", "series", "series_members"),
    ),
    Stage(
        "review",
        "a person looks, and decides",
        ("Hit", "Series"),
        ("Grade",),
        ("grades", "alarms", "exposure"),
    ),
    Stage(
        "share",
        "hands every force its part, and takes parts in",
        ("Lead", "Grade", "Ledger"),
        ("Bundle",),
        ("bundles", "received"),
    ),
)

CORE_TABLES: tuple[str, ...] = (
    "meta",
    "ledger",
    "ledger_openings",
    "checkpoints",
    "mandates",
    "watches",
    "forces",
    "leases",
    "receipts",
    "shards",
)


def stage(name: str) -> Stage:
    """The stage of that name. Raises KeyError for any other."""
    for each in FLOW:
        if each.name == name:
            return each
    raise KeyError(name)
