"""A capture's frames, read for what they say of the Watches."""

from collections import deque
from collections.abc import Iterable, Iterator

from clew.model import Missing, Reason
from clew.observe.captures._datagrams import Dht, UdpTrackers
from clew.observe.captures._flows import TcpFlows
from clew.observe.captures._fragments import Fragments
from clew.observe.captures._frames import Frame
from clew.observe.captures._packets import TCP, packet
from clew.observe.captures._talk import StreamTalk
from clew.observe.captures._utp import UtpFlows
from clew.observe.taken import Account, Finding, Watchlist

MOST_FINDINGS = 200_000
MOST_BYTES = 256 << 20  # of transcripts


def dissect(frames: Iterable[Frame], watchlist: Watchlist, account: Account) -> Iterator[Finding]:
    """The Findings of a capture, as its flows end; no more of them than one file may give."""
    size = 0
    for number, found in enumerate(_findings(frames, watchlist, account), 1):
        size += len(found.transcript)
        if number > MOST_FINDINGS or size > MOST_BYTES:
            account.flaw(Missing(Reason.LIMIT_REACHED, "more findings in one file than are taken"))
            return
        yield found


def _findings(frames: Iterable[Frame], watchlist: Watchlist, account: Account) -> Iterator[Finding]:
    found: deque[Finding] = deque()
    fragments = Fragments(account)
    tcp = TcpFlows(lambda ends: StreamTalk(ends, watchlist, account, found.append), account)
    utp = UtpFlows(lambda ends: StreamTalk(ends, watchlist, account, found.append), account)
    others = (UdpTrackers(watchlist, account, found.append), Dht(watchlist, account, found.append))
    for frame in frames:
        one = packet(frame, account, fragments)
        if one is None:
            continue
        if one.protocol == TCP:
            tcp.segment(one)
        elif utp.take(one):
            pass
        elif one.cut:
            account.counts["datagrams that are cut off and may have been of a Watch"] += 1
        elif not any(each.take(one) for each in others):
            account.counts["datagrams of other protocols, or of no Watch"] += 1
        while found:
            yield found.popleft()
    fragments.finish()
    tcp.finish()
    utp.finish()
    yield from found
