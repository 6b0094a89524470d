"""Whatever becomes of the office in mid-call: every call ends, leaves nothing behind and is paid for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pbx.call.dialogue import LOCKED
from pbx.call.effects import ChargeUsage, OpenUsage
from pbx.call.questions import (
    CheckSecret,
    FindMember,
    FoundMember,
    ListMessages,
    OpenMailbox,
)
from pbx.call.sound import Begin, Finish
from pbx.media.orders import Digit, Play, Played
from pbx.office.checks import Facts, check
from pbx.sip.message import Request
from tests.call import voices
from tests.call.changing_office import ANN, CHANGES, KEYS, make_office, tidy
from tests.call.test_outside_calls import CARRIER, SECOND, Carrier
from tests.call.test_walk import Walker, act
from tests.call.world import DOMAIN, Phone, World

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
USERNAMES = ("100p", "101p", "102p", "102m", "200p")


def answers(about: Any) -> Any:
    match about:
        case CheckSecret(code="9999"):
            return LOCKED
        case Begin() | Finish() | OpenMailbox() | ListMessages() | CheckSecret():
            return voices.answers(about)
        case FindMember(pin="1234"):
            return FoundMember(ANN, AT)
        case FindMember():
            return None
    return True


WHO = st.sampled_from(range(len(USERNAMES)))
INSIDE = ["100", "101", "102", "200", "110", "600", "700", "701"]
CODES = ["*97", "*98", "*85", "*861", "*11", "*12", "00", "**101", "*8", "*43", "*78", "*72101"]
TO = st.sampled_from([*INSIDE, *CODES, "31234567", "31234567", "00841234567", "999"])
REFERRED_TO = st.sampled_from(["102", "31234567", "600", "701", "*85", "replaces"])
STATUS = st.sampled_from([200, 200, 200, 180, 183, 302, 486, 503, 603])
KEYED = st.sampled_from(["1", "7", "#", "*", "0", "1234#", "9999#", "##2102#", "##2", "##3", "*1", "102#"])
METHOD = st.sampled_from(["INVITE", "BYE", "REFER", "UPDATE", "INFO"])
DIRECTION = st.sampled_from(["sendrecv", "sendonly"])
SEND = st.just("sendrecv")
STEP = st.one_of(
    *[st.tuples(st.just("office"), st.sampled_from(list(CHANGES)))] * 3,
    *[st.tuples(st.just("call"), WHO, TO)] * 2,
    st.tuples(st.just("from outside"), st.integers(0, 3), st.integers(0, 1)),
    st.tuples(st.just("respond"), WHO, STATUS, SEND, st.integers(0, 1), st.just(False), st.just({})),
    *[st.tuples(st.just("settle"), WHO)] * 2,
    st.tuples(st.just("carrier"), st.sampled_from([200, 200, 183, 486, 503, 0]), st.integers(0, 1)),
    st.tuples(st.just("in dialog"), WHO, METHOD, DIRECTION, REFERRED_TO, st.just({})),
    st.tuples(st.just("cancel"), WHO),
    st.tuples(st.just("switch"), WHO),
    st.tuples(st.just("register"), WHO),
    st.tuples(st.just("keys"), KEYED, st.integers(0, 5)),
    *[st.tuples(st.just("heard"), st.integers(0, 5))] * 2,
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.6, 5.0, 21.0, 33.0, 70.0, 1000.0])),
)


OUT = ("call", 0, "31234567")
TAKEN = ("carrier", 200, 0)
LOG_IN = [("call", 4, "*11"), ("keys", "1234#", 0), ("heard", 0), ("settle", 4)]
STARTS: dict[str, list[tuple]] = {
    "nothing": [],
    "ringing": [("call", 0, "101")],
    "talking": [("call", 0, "101"), ("settle", 1)],
    "talking outside": [OUT, TAKEN],
    "two outside": [OUT, TAKEN, ("call", 0, "31234568"), TAKEN],
    "ringing outside": [OUT, ("carrier", 183, 0)],
    "a number forwards": [("call", 0, "101"), ("wait", 21.0), TAKEN],
    "a group rings": [("from outside", 1, 0)],
    "a caller from outside": [("from outside", 0, 0), ("settle", 0)],
    "from outside, and transferred outside": [
        ("from outside", 0, 0),
        ("settle", 0),
        ("in dialog", 0, "REFER", "sendrecv", "31234567", {}),
        ("carrier", 200, 1),
    ],
    "leaving a message": [("call", 0, "102"), ("wait", 21.0), ("heard", 0), ("heard", 0)],
    "at his mailbox": [("call", 2, "*97"), ("heard", 0), ("keys", "1", 0)],
    "at a mailbox": [("call", 0, "*98"), ("keys", "102#", 0)],
    "in a room": [("call", 0, "701"), ("heard", 0), ("call", 1, "701"), ("heard", 0)],
    "at a room's door": [("call", 0, "700")],
    "parked": [("call", 0, "101"), ("settle", 1), ("in dialog", 1, "REFER", "sendrecv", "*85", {})],
    "keying a passcode": [("call", 0, "00841234567")],
    "after a passcode": [("call", 0, "00841234567"), ("keys", "1234#", 0), TAKEN],
    "logging in": [("call", 4, "*11")],
    "logged in": LOG_IN,
    "logged in, talking outside": [*LOG_IN, ("call", 4, "31234567"), TAKEN],
    "one call by PIN": [("call", 4, "31234567"), ("heard", 0)],
    "transferring by keys": [("call", 0, "101"), ("settle", 1), ("keys", "##2102#", 1)],
    "consulting": [("call", 0, "101"), ("settle", 1), ("keys", "##2102#", 1), ("settle", 2)],
}


def endpoints(world: World) -> list[str]:
    return [
        leg.media.sound_endpoint
        for call in world.exchange.calls.values()
        for leg in call.legs
        if leg.media.sound_endpoint
    ]


def ask(phone: Walker, method: str, uri: str, body: str = "", **options: str) -> Request:
    """Send a request, and once more with credentials if it is challenged."""

    def make() -> Request:
        return phone.request(method, uri, body, call_id=f"{phone.tag}-{method}", **options)

    phone.received.clear()
    phone.tag = f"{phone.tag.partition('.')[0]}.{phone.count}"
    return phone.send_authenticated(make)


def live(world: World, phones: list[Walker], carriers: list[Carrier], step: tuple) -> None:
    """One thing more, if it can be done now."""
    match step:
        case ("office", change):
            office = tidy(CHANGES[change](world.exchange.office))
            if not check(Facts(office, [], frozenset())):
                world.perform(world.exchange.swap_office(office, world.now))
        case ("call", who, to):
            phone = phones[who]
            phone.pending = ask(phone, "INVITE", f"sip:{to}@{DOMAIN}", phone.sdp())
        case ("register", who):
            to = f"<sip:{phones[who].username}@{DOMAIN}>"
            ask(phones[who], "REGISTER", f"sip:{DOMAIN}", to=to, Expires="3600", User_Agent="SIPp")
        case ("from outside", number, which):
            carriers[which].call(f"+656000100{number}")
        case ("carrier", 0, which) if "target" in carriers[which].dialog:
            carriers[which].bye()
        case ("carrier", status, which) if status and carriers[which].all("INVITE"):
            carrier = carriers[which]
            if status == 200:
                carrier.answer()
            else:
                carrier.respond(carrier.last("INVITE"), status, carrier.sdp() if status == 183 else "")
        case ("carrier", *_):
            pass
        case ("keys", keys, number):
            for key in keys:
                if names := endpoints(world):
                    world.media(Digit(names[number % len(names)], key))
        case ("heard", number):
            plays = [order for order in world.orders[-12:] if isinstance(order, Play) and not order.loop]
            if plays:
                play = plays[-1 - number % len(plays)]
                world.media(Played(play.endpoint, play.play, "ended"))
        case _:
            act(world, phones, step)


def acknowledge(phones: Sequence[Phone]) -> None:
    """They are good phones: every 200 to an INVITE gets its ACK."""
    for phone in phones:
        oks = [each for each in phone.all(200) if each.cseq.method == "INVITE"]
        if any(id(each) not in phone.acked for each in oks):
            phone.acked.update(map(id, oks))
            phone.ack()


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a walk takes minutes to shrink
)
@given(st.sampled_from(list(STARTS)), st.lists(STEP, min_size=2, max_size=30))
def test_every_call_ends_and_is_paid_for(start, steps):
    world = World(make_office(), user_agent="SIPp")
    world.answer = answers
    carriers = []
    for host in (CARRIER, SECOND):
        carrier = Carrier(world, "carrier", 5060, host=host)
        world.phones[carrier.address] = carrier
        carriers.append(carrier)
    world.perform(world.exchange.start(world.now))
    world.wait(0.0)
    phones = [world.phone(name, kind=Walker) for name in USERNAMES]
    everybody = [*phones, *carriers]
    for phone in everybody:
        phone.acked = set()
    for step in (*STARTS[start], *steps):
        live(world, phones, carriers, step)
        acknowledge(everybody)
    for phone in everybody:  # from now on nobody answers anything
        phone.drops = True
    world.wait(4000.0)
    for play in [order for order in world.orders if isinstance(order, Play) and not order.loop]:
        world.media(Played(play.endpoint, play.play, "ended"))
    world.wait(4000.0)
    for call in tuple(world.exchange.calls.values()):  # of sounds that nobody has told the end of
        call.end("the walk is over", 503)
    world.wait(200.0)
    world.perform(world.exchange.stop(world.now))
    world.wait(40.0)
    opened = [order.leg for order in world.orders if isinstance(order, OpenUsage)]
    charged = [order.charge.leg for order in world.orders if isinstance(order, ChargeUsage)]
    assert sorted(charged) == sorted(opened)
    assert not any(map(world.exchange.metering.ledger.is_open, opened))
    assert not world.exchange.services.rooms
    assert not any(map(world.exchange.occupancy.calls, (*KEYS, "110")))
    world.assert_nothing_left()
