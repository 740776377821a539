"""All that tells who is there, asked in one manner: trackers (`announces`) and the DHT (`lookups`)."""

from clew.observe.announces import Announces, Round
from clew.observe.api import Listing, Tracker
from clew.observe.lookups import Lookups


class Lists:
    """Hands each question and its answer to the one that it is of."""

    def __init__(self, announces: Announces, lookups: Lookups) -> None:
        self._announces, self._lookups = announces, lookups

    def due(self, now_ns: int) -> list[Round]:
        """The questions to be asked now (monotonic nanoseconds); each is out until `heard`."""
        return self._announces.due(now_ns) + self._lookups.due(now_ns)

    def heard(self, one: Round, listing: Listing, now_ns: int) -> None:
        """Takes the answer to the question of `one`."""
        self._of(one).heard(one, listing, now_ns)

    def barred(self, one: Round) -> None:
        """No Mandate covers this question now: it counts as failed, and is asked again once one may (`allowed`)."""
        self._of(one).barred(one)

    def allowed(self, now_ns: int) -> None:
        """The Mandates have changed: what could not be asked is due now."""
        self._announces.allowed(now_ns)
        self._lookups.allowed(now_ns)

    def moved(self, tracker: Tracker, address: str, now_ns: int) -> None:
        """This tracker is at another address now."""
        self._announces.moved(tracker, address, now_ns)

    def failing(self, tracker: Tracker, address: str) -> bool:
        """Whether a question to this tracker at this address brought no reply the last time."""
        return self._announces.failing(tracker, address)

    def never_asked(self, one: Round, now_ns: int) -> None:
        """This question was not sent."""
        self._of(one).never_asked(one, now_ns)

    def news(self, one: Round) -> None:
        """Somebody new was listed."""
        self._of(one).news(one)

    def quiet(self, rounds: int) -> bool:
        """Whether in `rounds` whole rounds nobody new was listed anywhere."""
        return self._announces.quiet(rounds) and self._lookups.quiet(rounds)

    def pause_ns(self, one: Round) -> int:
        """How long after this question the same is asked again, if all goes well."""
        return self._announces.pause_ns(one)  # a node is asked again after a tracker's usual interval

    def limits(self) -> dict[str, int]:
        """What limits kept lookups from, and what trackers did not name."""
        return dict(self._lookups.limits() + self._announces.limits())

    def _of(self, one: Round) -> Announces | Lookups:
        return self._lookups if self._lookups.owns(one) else self._announces
