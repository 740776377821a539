"""The directory of forces: who receives Bundles, and the keys that each gave us itself."""

from clew.core import keys
from clew.core.case import Case
from clew.core.errors import Usage
from clew.core.names import check_code, check_country
from clew.model import Force


def add(case: Case, force: Force) -> None:
    """Adds a force, or replaces what stands under its code; the ledger keeps that it was replaced.

    Raises Usage for a new code that is none. What earlier versions took can still be replaced.
    """
    check_country(force.country)
    if force.signing_key is not None:
        keys.read_public(force.signing_key)
    row = (force.code, force.name, force.country, force.region, force.age_recipient, force.signing_key)
    with case.write("core") as tx, tx.gate.core():
        there = tx.execute("SELECT * FROM forces WHERE code=?", (force.code,)).fetchone()
        if there is not None and tuple(there) == row:
            return
        if there is None:
            check_code(force.code)
        tx.execute("INSERT OR REPLACE INTO forces VALUES (?,?,?,?,?,?)", row)
        tx.record("force.replaced" if there else "force.added", subject={"force": force.code, "row": list(row)})


def all_of(case: Case) -> list[Force]:
    """Every force, by code."""
    return [Force(**dict(row)) for row in case.read().execute("SELECT * FROM forces ORDER BY code")]


def get(case: Case, code: str) -> Force:
    """The force of that code. Raises Usage where there is none."""
    row = case.read().execute("SELECT * FROM forces WHERE code=?", (code,)).fetchone()
    if row is None:
        raise Usage(f"there is no force {code!r} in this case", "see: clew force list CASE")
    return Force(**dict(row))
