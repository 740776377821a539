"""In which countries those are whom the observer knows: as registers say that a person names, or that the case used."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clew.core.case import Case
from clew.core.errors import ClewError

if TYPE_CHECKING:
    from clew.attribute.api import OpenRegister, RegisterSpec

UNKNOWN = "unknown"
TIERS = """SELECT address, max(CASE control WHEN 'promiscuous' THEN control ELSE tier END) AS tier
           FROM endpoints GROUP BY address"""


class Countries:
    """Looks addresses up, each once. Where registers differ it is the country of none of them: a view, no evidence."""

    def __init__(self, case: Case, named: "Sequence[RegisterSpec]" = ()) -> None:
        """Raises ClewError where a register that is named cannot be opened."""
        self._case, self._known = case, dict[str, str]()
        self._registers = _opened(named) if named else _used(case)

    def by_tier(self) -> dict[str, dict[str, int]]:
        """Addresses by tier and country, most of them first."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for address, tier in self._case.read().execute(TIERS):
            found[tier][self._country(address)] += 1
        return {tier: dict(counts.most_common()) for tier, counts in sorted(found.items())}

    def _country(self, address: str) -> str:
        if not self._registers:
            return UNKNOWN
        if address not in self._known:
            told = {_said(each, address) for each in self._registers} - {None}
            self._known[address] = (told.pop() if len(told) == 1 else None) or UNKNOWN
        return self._known[address]


def _said(register: "OpenRegister", address: str) -> str | None:
    """The country, None too where its file was overwritten meanwhile: no run ends for what is only looked at."""
    try:
        return register.lookup(address).country
    except ClewError:
        return None


def _opened(named: "Sequence[RegisterSpec]") -> "list[OpenRegister]":
    from clew.attribute.run import PACKAGE
    from clew.core import plugins

    return [plugins.load(PACKAGE, each.plugin).open(each.path) for each in named]


def _used(case: Case) -> "list[OpenRegister]":
    """Those of the case whose file is still where it was; a register that is gone or damaged is left out."""
    rows = case.read().execute("SELECT DISTINCT plugin, location FROM registers ORDER BY plugin, location").fetchall()
    if not rows:
        return []
    from clew.attribute.run import PACKAGE
    from clew.core import plugins

    found: list[OpenRegister] = []
    for row in rows:
        path = Path(row["location"])
        try:
            found.append(plugins.load(PACKAGE, row["plugin"]).open(path if path.is_file() else None))
        except ClewError:
            continue
    return found
