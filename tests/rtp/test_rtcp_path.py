"""Where RTCP is taken from, and where ours goes."""

import pytest

from pbx.rtp.latch import Latch
from pbx.rtp.remote import Remote
from pbx.rtp.rtcp_path import RtcpPath

PEER, RTCP = ("192.0.2.1", 4000), ("192.0.2.1", 4001)
NAT, NEXT = ("198.51.100.9", 7000), ("198.51.100.9", 7001)
OTHER = ("192.0.2.7", 9001)


def path(remote: Remote, source: tuple[str, int] | None = None) -> RtcpPath:
    """The path of an endpoint whose peer's RTP comes from `source`."""
    latch = Latch()
    latch.announce(remote.rtp, is_symmetric=remote.symmetric, relatch=False, now=0.0)
    made = RtcpPath(latch)
    made.announce(remote)
    if source is not None:
        latch.accept(source)
    return made


TARGETS = {
    "without an address of its own: the port after that for RTP": (Remote(PEER), None, RTCP),
    "the address announced for it": (Remote(PEER, OTHER), None, OTHER),
    "behind NAT: the port after that which the RTP comes from": (Remote(PEER), NAT, NEXT),
    "behind NAT at the last port: where it was announced": (Remote(PEER), (NAT[0], 65535), RTCP),
    "nothing is announced and nobody was heard: nowhere": (Remote(None), None, None),
}


@pytest.mark.parametrize(("remote", "source", "expected"), TARGETS.values(), ids=TARGETS)
def test_where_ours_goes(remote, source, expected):
    assert path(remote, source).target == expected


ACCEPTED = {
    "the announced address": (Remote(PEER), RTCP, True),
    "another port of the host that the RTP goes to": (Remote(PEER), ("192.0.2.1", 5555), True),
    "the same of a peer that is not symmetric": (Remote(PEER, symmetric=False), ("192.0.2.1", 5555), False),
    "a stranger": (Remote(PEER), OTHER, False),
}


@pytest.mark.parametrize(("remote", "source", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_taken(remote, source, expected):
    assert path(remote).may_accept(source) is expected


def test_ours_goes_to_where_theirs_comes_from_until_the_announced_address_is_heard():
    made = path(Remote(PEER))
    made.accept(("192.0.2.1", 5555))
    assert made.target == ("192.0.2.1", 5555)
    made.accept(RTCP)
    made.accept(("192.0.2.1", 5555))
    assert made.target == RTCP


def test_a_new_address_ends_the_choice():
    made = path(Remote(PEER))
    made.accept(("192.0.2.1", 5555))
    made.announce(Remote(PEER, OTHER))
    assert made.target == OTHER
