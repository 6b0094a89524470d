"""Whatever datagram is lost, a flow comes to the same end by the timers of RFC 3261 §17 and RFC 3262 §3."""

from collections.abc import Callable

import pytest

from pbx.sip.message import Request
from tests.call.lossy import LossyPhone, Network
from tests.call.world import World, make_office

Step = tuple[float, Callable[[LossyPhone, LossyPhone, LossyPhone], None]]
OnInvite = Callable[[LossyPhone, Request], None]


def answers(phone: LossyPhone, invite: Request) -> None:
    def take() -> None:
        if invite == phone.last("INVITE") and "CANCEL came" not in phone.story:
            phone.tell(invite, 200, phone.sdp())

    phone.tell(invite, 180)
    phone.net.later(2.0, take)


def rings(phone: LossyPhone, invite: Request) -> None:
    phone.tell(invite, 180)


def is_busy(phone: LossyPhone, invite: Request) -> None:
    phone.tell(invite, 486)


def speaks_early(phone: LossyPhone, invite: Request) -> None:
    phone.tell(invite, 183, phone.sdp(), RSeq="7", Require="100rel")
    phone.net.later(10.0, lambda: phone.tell(invite, 200))


FLOWS: dict[str, tuple[str, OnInvite, list[Step]]] = {
    "the caller hangs up": ("sdp", answers, [(20, lambda ann, _bob, _eve: ann.do("BYE"))]),
    "the callee hangs up": ("sdp", answers, [(20, lambda _ann, bob, _eve: bob.do("BYE"))]),
    "the offer comes in the 200": ("", answers, [(20, lambda ann, _bob, _eve: ann.do("BYE"))]),
    "busy": ("sdp", is_busy, []),
    "nobody answers": ("sdp", rings, []),
    "the caller gives up": ("sdp", rings, [(9, lambda ann, _bob, _eve: ann.give_up())]),
    "a reliable 183 with early media": ("sdp", speaks_early, [(30, lambda ann, _bob, _eve: ann.do("BYE"))]),
    "hold": (
        "sdp",
        answers,
        [
            (20, lambda _ann, bob, _eve: bob.do("INVITE", bob.sdp(2, "sendonly"))),
            (40, lambda ann, _bob, _eve: ann.do("BYE")),
        ],
    ),
    "an offerless re-INVITE": (
        "sdp",
        answers,
        [
            (20, lambda ann, _bob, _eve: ann.do("INVITE")),
            (40, lambda ann, _bob, _eve: ann.do("BYE")),
        ],
    ),
    "INFO": (
        "sdp",
        answers,
        [
            (20, lambda ann, _bob, _eve: ann.do("INFO", "x")),
            (40, lambda ann, _bob, _eve: ann.do("BYE")),
        ],
    ),
    "a blind transfer": (
        "sdp",
        answers,
        [
            (20, lambda _ann, bob, _eve: bob.do("REFER", Refer_To="<sip:102@pbx.local>")),
            (80, lambda ann, _bob, _eve: ann.do("BYE")),
        ],
    ),
}


def play(name: str, lost: int = -1) -> tuple[list[list[str]], list[str]]:
    """What the phones' users tell afterwards, and what the network has carried."""
    body, on_invite, steps = FLOWS[name]
    world = World(make_office("100", "101", "102"), user_agent="SIPp")
    ann, bob, eve = [world.phone(key, kind=LossyPhone) for key in ("100", "101", "102")]
    world.wait(40.0)
    net = Network(world, lost)
    ann.plug(net, on_invite)
    bob.plug(net, on_invite)
    eve.plug(net, answers)
    ann.call("101", body and ann.sdp(), Supported="100rel")
    for at, step in steps:
        net.later(at, lambda step=step: step(ann, bob, eve))
    net.run(150.0)
    story = [sorted(phone.story) for phone in (ann, bob, eve)]
    for phone in (ann, bob, eve):
        phone.net, phone.drops = None, True
    world.assert_nothing_left()
    return story, net.carried


@pytest.mark.parametrize("name", FLOWS)
def test_whichever_datagram_is_lost_the_story_is_the_same(name):
    story, carried = play(name)
    assert story != [[], [], []]
    assert [what for number, what in enumerate(carried) if play(name, number)[0] != story] == []
