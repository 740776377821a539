"""A capture's frames, read for what they say of the Watches."""

from collections import deque
from collections.abc import Iterable, Iterator

from clew.model import Missing, Reason
from clew.observe.captures._datagrams import Dht, UdpTrackers
from clew.observe.captures._flows import TcpFlows
from clew.observe.captures._frames import Frame
from clew.observe.captures._packets import TCP, packet
from clew.observe.captures._talk import StreamTalk
from clew.observe.captures._utp import UtpFlows
from clew.observe.taken import Account, Finding, Watchlist

MOST_FINDINGS = 200_000


def dissect(frames: Iterable[Frame], watchlist: Watchlist, account: Account) -> Iterator[Finding]:
    """The Findings of a capture, as its flows end."""
    found: deque[Finding] = deque()
    tcp = TcpFlows(lambda ends: StreamTalk(ends, watchlist, account, found.append), account)
    utp = UtpFlows(lambda ends: StreamTalk(ends, watchlist, account, found.append), account)
    others = (UdpTrackers(watchlist, account, found.append), Dht(watchlist, account, found.append))
    number = 0
    for frame in frames:
        one = packet(frame, account)
        if one is None:
            continue
        if one.protocol == TCP:
            tcp.segment(one)
        elif not utp.take(one) and (one.cut or not any(each.take(one) for each in others)):
            account.counts["datagrams of other protocols, or of no Watch"] += 1
        while found:
            if number >= MOST_FINDINGS:
                account.flaw(Missing(Reason.LIMIT_REACHED, f"more than {MOST_FINDINGS} findings in one file"))
                return
            number += 1
            yield found.popleft()
    tcp.finish()
    utp.finish()
    yield from found
