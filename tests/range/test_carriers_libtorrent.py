"""libtorrent as an independent caller: it understands the fakes over every carrier, or is refused."""

import zlib

import libtorrent as lt
import pytest
from range_stage import Log, leecher, party, playing, scenario, until

from clew.range import mse
from clew.range.doorway import WAYS
from clew.range.scenario import Carrier, Disturbance

FORCED, DISABLED = int(lt.enc_policy.forced), int(lt.enc_policy.disabled)
RC4, PLAIN = int(lt.enc_level.rc4), int(lt.enc_level.plaintext)


def settings(*, utp, policy, level=RC4):
    return {
        "enable_outgoing_tcp": not utp,
        "enable_outgoing_utp": utp,
        "enable_incoming_tcp": False,
        "enable_incoming_utp": utp,
        "out_enc_policy": policy,
        "in_enc_policy": policy,
        "allowed_enc_level": level,
    }


@pytest.mark.parametrize(
    ("accepts", "utp", "policy", "level", "carrier"),
    [
        (Carrier.TCP, False, DISABLED, RC4, "tcp"),
        (Carrier.MSE_TCP, False, FORCED, RC4, "mse-rc4/tcp"),
        (Carrier.MSE_TCP, False, FORCED, PLAIN, "mse-plain/tcp"),
        (Carrier.UTP, True, DISABLED, RC4, "utp"),
        (Carrier.MSE_UTP, True, FORCED, RC4, "mse-rc4/utp"),
        (Carrier.MSE_UTP, True, FORCED, PLAIN, "mse-plain/utp"),
    ],
)
def test_libtorrent_understands_what_it_is_told(tmp_path, accepts, utp, policy, level, carrier):
    fakes = [party(number, accepts={accepts}) for number in range(6)]  # of each preference among RC4 and plaintext
    if level == PLAIN:
        fakes = [fake for fake in fakes if WAYS[zlib.crc32(fake.id.encode()) % 3] != (mse.RC4,)]
    with (
        playing(scenario(*fakes)) as range_,
        leecher(tmp_path, **settings(utp=utp, policy=policy, level=level)) as (session, handle),
    ):
        log = Log(session)
        for fake in fakes:
            handle.connect_peer((fake.stays[0].address, fake.stays[0].port))
        for fake in fakes:
            assert until(lambda fake=fake: log.says(fake.stays[0].address, "<== HAVE_ALL")), range_.audit.report()
        assert set(range_.audit.handshakes) == {carrier}
        assert range_.audit.canary_bytes_pushed[carrier] > 0


def test_libtorrent_gets_through_a_line_that_loses_doubles_and_reorders(tmp_path):
    fakes = [party(number, accepts={Carrier.MSE_UTP}) for number in range(4)]
    played = scenario(*fakes, disturbance=Disturbance(lost=0.1, doubled=0.1, overtaken=0.2))
    with (
        playing(played) as range_,
        leecher(tmp_path, **settings(utp=True, policy=FORCED)) as (session, handle),
    ):
        log = Log(session)
        for fake in fakes:
            handle.connect_peer((fake.stays[0].address, fake.stays[0].port))
        for fake in fakes:
            assert until(lambda fake=fake: log.says(fake.stays[0].address, "<== HAVE_ALL"), 25), range_.audit.report()


@pytest.mark.parametrize(
    ("accepts", "utp", "policy"),
    [
        (Carrier.TCP, False, FORCED),
        (Carrier.MSE_TCP, False, DISABLED),
        (Carrier.UTP, True, FORCED),
        (Carrier.MSE_UTP, True, DISABLED),
        (Carrier.TCP, True, DISABLED),
        (Carrier.UTP, False, DISABLED),
    ],
)
def test_libtorrent_is_refused_what_a_party_does_not_accept(tmp_path, accepts, utp, policy):
    fake = party(1, accepts={accepts})
    beside = party(2, accepts=set(Carrier))
    with (
        playing(scenario(fake, beside)) as range_,
        leecher(tmp_path, **settings(utp=utp, policy=policy)) as (session, handle),
    ):
        log = Log(session)
        for each in (fake, beside):
            handle.connect_peer((each.stays[0].address, each.stays[0].port))
        assert until(lambda: log.says(beside.stays[0].address, "<== HAVE_ALL"))
        met = ("tcp" in str(accepts)) != utp
        assert until(lambda: range_.audit.refused.total() or not met)
        assert not log.says(fake.stays[0].address, "<== HANDSHAKE")
