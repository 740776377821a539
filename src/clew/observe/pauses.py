"""After how long an endpoint is visited again: the revisit interval, or longer where that would tell no more."""

from clew.model import Tier
from clew.observe.endpoints import Endpoint

MOST_DOUBLINGS = 6
STEADY_VISITS, MOST_STEADY = 8, 2  # after so many visits the interval is doubled, and no more than so many times


def answered_ns(endpoint: Endpoint, tier: Tier, interval_ns: int) -> int:
    """Who claims the same again and again is asked less often; whoever says anything else, as often as at first."""
    longer = min(endpoint.contacts // STEADY_VISITS, MOST_STEADY) if tier is Tier.CLAIMS else 0
    return interval_ns << longer


def failed_ns(endpoint: Endpoint, interval_ns: int) -> int:
    """Each time later. Who claimed before is worth more tries at the plain interval, for as long as the run goes on."""
    patience = STEADY_VISITS if endpoint.claims else 1
    doublings = max(0, endpoint.failures - patience)
    return longest_ns(endpoint, interval_ns) if doublings >= MOST_DOUBLINGS else interval_ns << doublings


def longest_ns(endpoint: Endpoint, interval_ns: int) -> int:
    """The longest pause, up to a quarter shorter, each time otherwise: one that fits into days as 16 hours do would
    come at the same hours for ever, and who is there at others would never be met.
    """
    whole_ns = interval_ns << MOST_DOUBLINGS
    return whole_ns - whole_ns * ((endpoint.id + 7 * endpoint.failures) % 16) // 64
