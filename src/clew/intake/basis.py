"""The Mandate that a run or a further look stands under. It may end while they go on, which can take days."""

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.errors import Refused

GOES_ON = "what was acknowledged is kept, and the same command goes on from there"


class Basis:
    """A Mandate that allows intake of the Exhibit under `label`. Raises Refused where there is none."""

    def __init__(self, case: Case, label: str) -> None:
        self._case, self._label = case, label
        self._mandate = mandate.require(case, purpose="intake", at_ns=clock.now().utc_ns, exhibit=label)

    @property
    def id(self) -> str:
        """Of the Mandate that held when it was last asked for."""
        return self._mandate.id

    def require(self) -> str:
        """The id of the Mandate that holds now: another one where that of before has ended. To be asked for before each
        act. Raises Refused where none covers it.
        """
        at_ns = clock.now().utc_ns
        if not self._mandate.not_before_ns <= at_ns <= self._mandate.not_after_ns:
            try:
                self._mandate = mandate.require(self._case, purpose="intake", at_ns=at_ns, exhibit=self._label)
            except Refused as ended:
                raise Refused(f"stopped: {ended}", f"{ended.hint}; {GOES_ON}") from ended
        return self._mandate.id
