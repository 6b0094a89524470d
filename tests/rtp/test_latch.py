import pytest

from pbx.rtp.latch import RELATCH_GRACE_S, Latch, normalize

ANNOUNCED = ("192.0.2.1", 4000)
SAME_HOST = ("192.0.2.1", 61_000)
NAT = ("203.0.113.7", 61_000)
STRANGER = ("198.51.100.66", 666)
MOVED = ("192.0.2.1", 4002)
LATE = RELATCH_GRACE_S


def play(script):
    """The source after each step; an offer of a packet is accepted when it may be."""
    latch, sources = Latch(), []
    for now, action, *arguments in script:
        if action == "announce":
            address, *flags = arguments
            latch.announce(
                address,
                is_symmetric="strict" not in flags,
                signalling={"direct": ANNOUNCED[0], "nat": NAT[0]}.get(flags[0] if flags else "", ""),
                relatch="relatch" in flags,
                now=now,
            )
        elif latch.may_accept(arguments[0], now):
            latch.accept(arguments[0])
        sources.append(latch.source)
    return sources


CASES = {
    "who signals from the announced host sends from there too": (
        [(0, "announce", ANNOUNCED, "direct"), (0, "packet", STRANGER), (1, "packet", SAME_HOST)],
        [None, None, SAME_HOST],
    ),
    "nobody else gets that stream by relatching": (
        [
            (0, "announce", ANNOUNCED, "direct"),
            (0, "packet", ANNOUNCED),
            (1, "announce", ANNOUNCED, "direct", "relatch"),
            (1 + LATE, "packet", STRANGER),
        ],
        [None, ANNOUNCED, ANNOUNCED, ANNOUNCED],
    ),
    "the announced source is the peer": (
        [(0, "announce", ANNOUNCED), (0, "packet", ANNOUNCED)],
        [None, ANNOUNCED],
    ),
    "behind NAT the first source is the peer, and stays": (
        [(0, "announce", ANNOUNCED), (0, "packet", NAT), (9, "packet", STRANGER), (99, "packet", STRANGER)],
        [None, NAT, NAT, NAT],
    ),
    "who signals from behind NAT dispels a stranger that came first": (
        [
            (0, "announce", ANNOUNCED, "nat"),
            (0, "packet", STRANGER),
            (1, "packet", NAT),
            (9, "packet", STRANGER),
        ],
        [None, STRANGER, NAT, NAT],
    ),
    "and gets its stream back after it was silent": (
        [
            (0, "announce", ANNOUNCED, "nat"),
            (0, "packet", NAT),
            (5, "announce", ANNOUNCED, "nat", "relatch"),
            (5 + LATE, "packet", STRANGER),
            (9, "packet", NAT),
        ],
        [None, NAT, NAT, STRANGER, NAT],
    ),
    "a NAT may have several addresses": (
        [(0, "announce", ANNOUNCED, "nat"), (0, "packet", STRANGER), (9, "packet", STRANGER)],
        [None, STRANGER, STRANGER],
    ),
    "a fixed peer keeps its stream against another port of its host": (
        [(0, "announce", ANNOUNCED), (0, "packet", ANNOUNCED), (99, "packet", SAME_HOST)],
        [None, ANNOUNCED, ANNOUNCED],
    ),
    "another port of the announced host dispels a stranger": (
        [
            (0, "announce", ANNOUNCED),
            (0, "packet", STRANGER),
            (1, "packet", SAME_HOST),
            (2, "packet", STRANGER),
        ],
        [None, STRANGER, SAME_HOST, SAME_HOST],
    ),
    "and the announced port both, at any time": (
        [
            (0, "announce", ANNOUNCED),
            (0, "packet", SAME_HOST),
            (99, "packet", ANNOUNCED),
            (99, "packet", SAME_HOST),
        ],
        [None, SAME_HOST, ANNOUNCED, ANNOUNCED],
    ),
    "a peer that is not symmetric is heard from its announced address only": (
        [
            (0, "announce", ANNOUNCED, "strict"),
            (0, "packet", SAME_HOST),
            (0, "packet", NAT),
            (0, "packet", ANNOUNCED),
        ],
        [None, None, None, ANNOUNCED],
    ),
    "a peer announced nowhere is found": (
        [(0, "announce", None), (0, "packet", NAT)],
        [None, NAT],
    ),
    "the same announced once more changes nothing": (
        [(0, "announce", ANNOUNCED), (0, "packet", NAT), (5, "announce", ANNOUNCED), (9, "packet", STRANGER)],
        [None, NAT, NAT, NAT],
    ),
    "another announced address ends the choice": (
        [(0, "announce", ANNOUNCED), (0, "packet", NAT), (5, "announce", MOVED), (5, "packet", MOVED)],
        [None, NAT, None, MOVED],
    ),
    "hold at 0.0.0.0 keeps the peer": (
        [
            (0, "announce", ANNOUNCED),
            (0, "packet", NAT),
            (5, "announce", ("0.0.0.0", 9)),
            (6, "packet", STRANGER),
        ],
        [None, NAT, NAT, NAT],
    ),
    "relatch: the known source goes on and is fixed again": (
        [
            (0, "announce", ANNOUNCED),
            (0, "packet", NAT),
            (5, "announce", ANNOUNCED, "relatch"),
            (5, "packet", STRANGER),
            (5.02, "packet", NAT),
            (5 + LATE, "packet", STRANGER),
        ],
        [None, NAT, NAT, NAT, NAT, NAT],
    ),
    "relatch: when the known source says nothing, the next gets the stream": (
        [
            (0, "announce", ANNOUNCED),
            (0, "packet", ANNOUNCED),
            (5, "announce", ANNOUNCED, "relatch"),
            (5 + LATE, "packet", NAT),
            (9, "packet", STRANGER),
        ],
        [None, ANNOUNCED, ANNOUNCED, NAT, NAT],
    ),
    "a learnt source is dropped when only the announced one is allowed": (
        [(0, "announce", ANNOUNCED), (0, "packet", NAT), (5, "announce", ANNOUNCED, "strict")],
        [None, NAT, None],
    ),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_who_the_peer_is(script, expected):
    assert play(script) == expected


def test_a_restored_choice_is_fixed():
    latch = Latch()
    latch.announce(ANNOUNCED, is_symmetric=True, relatch=False, now=0.0)
    latch.restore(NAT)
    assert latch.is_fixed
    assert not latch.may_accept(STRANGER, 9.0)
    assert latch.may_accept(ANNOUNCED, 9.0)


ADDRESSES = {
    "IPv4": (("192.0.2.1", 4000), ("192.0.2.1", 4000)),
    "IPv6 is written the kernel's way": (("2001:DB8:0:0::1", 4000), ("2001:db8::1", 4000)),
    "wildcard": (("0.0.0.0", 4000), None),
    "IPv6 wildcard": (("::", 4000), None),
    "port 0": (("192.0.2.1", 0), None),
    "no port": (("192.0.2.1", 70_000), None),
    "a name": (("phone.example", 4000), None),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_normalize(address, expected):
    assert normalize(address) == expected
