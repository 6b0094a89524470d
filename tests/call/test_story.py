"""What a call's record says has happened; before the call `pbx explain` says the same (product §8)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pbx.call.questions import CheckSecret
from pbx.media.orders import Recorded
from pbx.office.group import Group
from pbx.office.incoming import Forward, Incoming
from pbx.office.no_answer import NoAnswer
from pbx.office.snapshot import Office
from pbx.rules.foresee import decide, foresee, read_caller
from pbx.rules.no_answer import IN_TIME
from tests.call.test_hot_desk_calls import ANN, begin
from tests.call.test_outside_calls import OURS, OUTSIDE, change, limited, make_office, start
from tests.call.test_transfers import let_go, refer, refer_to_dialog, settle
from tests.call.voices import answers, make_world
from tests.call.world import Phone, World, hang_up, talk

STRANGER = "+6561112222"


def foreseen(world: World, caller: str, dialled: str) -> list[str]:
    """The reasons of all that would follow while nobody answers."""
    office = world.exchange.office
    still = world.exchange.world_at(world.now)
    who, _ = read_caller(office, still, caller)
    steps = foresee(office, still, who, decide(office, still, who, dialled))
    return [sentence for step in steps for sentence in step.decided]


def story(world: World) -> list[str]:
    """Of the call that ended last, of which nothing is left."""
    world.assert_nothing_left()
    return list(world.records[-1].decisions)


# --- explained before, and recorded after ------------------------------------------------------------------


def wait(world: World, caller: Phone) -> None:
    """Let it ring, until the caller hears that it will not be, or the PBX speaks."""
    world.wait(400.0)
    if caller.statuses()[-1] == 183:  # information tone and announcement
        world.finish()
        world.finish()
    if caller.statuses()[-1] == 200:
        caller.ack()
        caller.bye()
    for phone in world.phones.values():
        if phone.all("CANCEL"):
            phone.respond(phone.last("INVITE"), 487)


FORWARDED = Incoming(forward=Forward(True, "+6565551111", ("101", "102"), (OUTSIDE,)))
QUIET = Incoming(do_not_disturb=True)
PLAIN = {
    "nobody answers: hang up": (make_office(), "100", "101"),
    "nobody answers: voicemail": (
        change(make_office(), "101", no_answer=NoAnswer("voicemail")),
        "100",
        "101",
    ),
    "nobody answers: the missed call is mailed": (
        change(make_office(), "101", no_answer=NoAnswer("notify")),
        "100",
        "101",
    ),
    "nobody answers: a number outside": (
        change(make_office(), "101", no_answer=NoAnswer("forward", forward_to="+6565551111")),
        "100",
        "101",
    ),
    "do not disturb": (change(make_office(), "101", incoming=QUIET), "100", "101"),
    "do not disturb, and voicemail": (
        change(make_office(), "101", incoming=QUIET, no_answer=NoAnswer("voicemail")),
        "100",
        "101",
    ),
    "forwarding": (change(make_office(), "101", incoming=FORWARDED), "100", "101"),
    "no phone": (change(make_office(), "101", devices=()), "100", "101"),
    "a number outside": (make_office(), "100", "31234567"),
    "a number of the office": (make_office(), "102", OURS),
    "a country that is not listed": (make_office(), "100", "+84912345678"),
    "nobody": (make_office(), "100", "199"),
    "an emergency": (make_office(), "100", "999"),
    "a limit": (limited(kind="minutes", minutes=2), "100", "31234567"),
    "a call centre": (change(make_office(), "101", type="call_centre"), "100", "101"),
}


@pytest.mark.parametrize(("office", "caller", "dialled"), PLAIN.values(), ids=PLAIN)
def test_the_record_says_what_was_explained_before(office: Office, caller: str, dialled: str):
    names = [key for key in ("100", "101", "102") if office.device(key) is not None]
    world, _, _, phones = start(office, *names)
    world.answer = answers
    before = foreseen(world, caller, dialled)
    phone = phones[names.index(caller)]
    phone.invite(dialled)
    wait(world, phone)
    events = ("nobody takes the call", "no message is left", 'trunk "carrier"', 'trunk "second"')
    said = [each for each in story(world) if not each.startswith(events)]
    assert said[: len(before)] == before
    assert said[len(before) :] in ([], [IN_TIME])


def test_a_group_that_rings_one_after_the_other():
    group = Group("600", "Sales", ("101", "102"), "sequence", 15)
    world, _, _, (ann, bob, cid) = start(make_office(groups=(group,)), "100", "101", "102")
    before = foreseen(world, "100", "600")
    ann.invite("600")
    world.wait(16.0)
    bob.respond(bob.last("INVITE"), 487)
    cid.answer()
    ann.ack()
    hang_up(world, ann, cid)
    said = story(world)
    assert [each for each in said if each != IN_TIME] == [*before, "102 at phone 102 answers"]
    assert said.index(IN_TIME) == said.index("the phones of 102 ring: 102") - 1


def test_a_phone_that_did_not_answer_was_not_beaten_by_another():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.ring()
    world.wait(21.0)
    bob.respond(bob.last("INVITE"), 487)
    story(world)
    leg = world.records[-1].legs[-1]
    assert (leg.party, leg.status, leg.why, leg.ended_s) == ("101", 487, IN_TIME, pytest.approx(20.0))


@pytest.mark.parametrize("why", ["the caller gave up", "the server stops"])
def test_a_phone_that_rings_no_more_has_been_cancelled(why):
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.ring()
    if why == "the caller gave up":
        ann.cancel()
    else:
        world.perform(world.exchange.stop(world.now))
    bob.respond(bob.last("INVITE"), 487)
    story(world)
    assert [leg.status for leg in world.records[-1].legs] == [503 if why == "the server stops" else 487, 487]


def test_the_turn_of_a_member_of_a_group_ends_when_the_next_one_begins():
    group = Group("600", "Sales", ("101", "102"), "sequence", 15)
    world, _, _, (ann, bob, cid) = start(make_office(groups=(group,)), "100", "101", "102")
    ann.invite("600")
    world.wait(16.0)
    bob.respond(bob.last("INVITE"), 487)
    assert [world.exchange.world_at(world.now).calls(key) for key in ("101", "102")] == [0, 1]
    cid.answer()
    ann.ack()
    hang_up(world, ann, cid)
    leg = world.records[-1].legs[1]
    assert (leg.party, leg.why, leg.ended_s) == ("101", IN_TIME, pytest.approx(15.0))


def test_each_leg_says_which_decision_and_which_outbound_rule_rang_it():
    forwards = change(make_office(), "101", incoming=Incoming(forward=Forward(True, OUTSIDE, ("102",))))
    world, carrier, second, (ann, cid) = start(forwards, "100", "102")
    ann.invite("101")
    carrier.respond(carrier.last("INVITE"), 503)
    second.answer()
    ann.ack()
    cid.respond(cid.last("INVITE"), 487)
    hang_up(world, ann, second)
    story(world)
    why = f"forwarding of 101 is on: 102 and {OUTSIDE} ring together"
    legs = [(leg.party, leg.trunk, leg.because, leg.rule) for leg in world.records[-1].legs]
    assert legs == [
        ("100", "", "", ""),
        ("102", "", why, ""),
        (OUTSIDE, "carrier", why, "standard"),
        (OUTSIDE, "second", why, "standard"),
    ]


def test_a_call_from_outside():
    world, carrier, _, (ann,) = start(make_office(), "100")
    before = foreseen(world, STRANGER, OURS)
    carrier.call(OURS, caller=STRANGER)
    ann.answer()
    carrier.ack()
    hang_up(world, carrier, ann)
    assert story(world) == [
        f"{OURS} goes to extension 100",
        "the phones of 100 ring: 100",
        ANSWERS.format(100),
    ]
    assert before[:2] == story(world)[:2]


def test_to_explain_takes_no_turn_and_changes_nothing():
    group = Group("600", "Sales", ("101", "102"), "round_robin", 15)
    world, *_ = start(make_office(groups=(group,)), "100", "101", "102")
    exchange = world.exchange
    assert foreseen(world, "100", "600") == foreseen(world, "100", "600")
    assert exchange.world.turn("600") == 0
    assert not exchange.calls
    assert not exchange.stack.out


# --- what happens on the way -------------------------------------------------------------------------------

ANSWERS = "{0} at phone {0} answers"


def last_of(world: World, count: int) -> list[str]:
    return story(world)[-count:]


@pytest.mark.parametrize(
    ("status", "words"),
    [(503, "answers 503 Service Unavailable"), (408, "gives no answer"), (None, "gives no answer")],
)
def test_the_next_trunk(status: int | None, words: str):
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    if status is None:
        world.wait(6.0)
    else:
        carrier.respond(carrier.last("INVITE"), status)
    second.answer()
    ann.ack()
    hang_up(world, ann, second)
    assert last_of(world, 2) == [
        f'trunk "carrier" {words}: next is "second"',
        f'{OUTSIDE} over trunk "second" answers',
    ]


def test_no_trunk_is_left():
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    carrier.respond(carrier.last("INVITE"), 500)
    second.respond(second.last("INVITE"), 503)
    assert last_of(world, 3) == [
        'trunk "carrier" answers 500 Server Internal Error: next is "second"',
        'trunk "second" answers 503 Service Unavailable: there is no other',
        "nobody takes the call: 503 Service Unavailable",
    ]


def test_a_trunk_that_is_full_is_passed_over():
    office = make_office()
    full = replace(office.trunks[0], max_calls=1)
    world, carrier, second, (ann, bob) = start(replace(office, trunks=(full, office.trunks[1])), "100", "101")
    ann.invite("31234567")
    bob.invite("31234568")
    second.answer()
    bob.ack()
    bob.bye()
    second.ok("BYE")
    assert 'trunk "carrier" is passed over: it is full' in world.records[-1].decisions
    ann.cancel()
    carrier.respond(carrier.last("INVITE"), 487)
    assert last_of(world, 1) == ["the caller gave up"]


def busy(_world: World, _ann: Phone, bob: Phone, _eve: Phone) -> None:
    bob.respond(bob.last("INVITE"), 486)


def gives_up(_world: World, ann: Phone, bob: Phone, _eve: Phone) -> None:
    ann.cancel()
    bob.respond(bob.last("INVITE"), 487)


def sends_on(_world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    bob.respond(bob.last("INVITE"), 302, Contact="<sip:102@pbx.local>")
    eve.answer()
    ann.ack()
    ann.bye()
    eve.ok("BYE")


def sends_on_to_nobody(_world: World, _ann: Phone, bob: Phone, _eve: Phone) -> None:
    bob.respond(bob.last("INVITE"), 302, Contact="<sip:199@pbx.local>")


def is_picked_up(_world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    eve.invite("**101")
    bob.respond(bob.last("INVITE"), 487)
    ann.ack()
    eve.ack()
    ann.bye()
    eve.ok("BYE")


ON_THE_WAY: dict[str, tuple[Callable[[World, Phone, Phone, Phone], None], list[str]]] = {
    "busy": (
        busy,
        ["nobody takes the call: 486 Busy Here", "no-answer action of 101 is hangup: the call ends"],
    ),
    "the caller gives up": (gives_up, ["the caller gave up"]),
    "sent on": (
        sends_on,
        ["a phone of 101 sends the call on to 102", "the phones of 102 ring: 102", ANSWERS.format(102)],
    ),
    "sent on to nobody": (
        sends_on_to_nobody,
        [
            "a phone of 101 sends the call on to 199",
            "199 is no number of SG (office.country)",
            "199 is nobody",
            "nobody takes the call: 302 Moved Temporarily",
            "no-answer action of 101 is hangup: the call ends",
        ],
    ),
    "picked up": (is_picked_up, ["102 at phone 102 picks the call up"]),
}


@pytest.mark.parametrize(("act", "expected"), ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_on_the_way(act, expected):
    world, _, _, (ann, bob, eve) = start(make_office(), "100", "101", "102")
    ann.invite("101")
    act(world, ann, bob, eve)
    assert story(world) == ["the phones of 101 ring: 101", *expected]


def test_a_message_and_none():
    for seconds, said in ((2.0, "a message of 2 s is left"), (0.4, "no message is left")):
        world = make_world()
        ann = world.phone("101")
        ann.invite("103")
        ann.ack()
        world.finish()  # greeting
        world.finish()  # beep
        order = world.recordings.pop()
        world.media(Recorded(order.endpoint, order.recording, seconds, "silence"))
        world.finish()
        ann.ok("BYE")
        assert last_of(world, 2) == ["voicemail of 103", said]


def test_a_transfer():
    world, _, _, (ann, bob, eve) = start(make_office(), "100", "101", "102")
    talk(world, ann, bob)
    refer(bob, "102")
    eve.answer()
    let_go(bob)
    settle(ann)
    hang_up(world, ann, eve)
    assert last_of(world, 4) == [
        ANSWERS.format(101),
        "101 transfers 100 to 102",
        "the phones of 102 ring: 102",
        ANSWERS.format(102),
    ]


def test_an_attended_transfer_to_a_call_that_is_over():
    world, _, _, (ann, bob, eve) = start(make_office(), "100", "101", "102")
    talk(world, ann, bob)
    first = bob.dialog
    bob.invite("102")
    eve.answer()
    bob.ack()
    second = bob.dialog
    bob.bye()
    eve.ok("BYE")
    refer_to_dialog(bob, first, second)
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    bob.dialog = first
    bob.bye()
    ann.ok("BYE")
    assert last_of(world, 2) == [
        "101 transfers 100 to 102, whom it has called before",
        "the transfer fails: the other call is over",
    ]


def test_the_limit():
    world, carrier, _, (ann,) = start(limited(kind="minutes", minutes=2), "100")
    ann.invite("31234567")
    carrier.answer()
    ann.ack()
    world.wait(121.0)
    for phone in (carrier, ann):
        phone.ok("BYE")
    assert last_of(world, 2) == [
        f'{OUTSIDE} over trunk "carrier" answers',
        "the usage limit of 100 is reached: the call ends",
    ]


@pytest.mark.parametrize(
    ("is_right", "said"),
    [
        (True, ["the passcode of 100 was given", '+84938812345 over trunk "carrier" answers']),
        (False, ["the passcode of 100 was not given"]),
    ],
)
def test_a_passcode(is_right: bool, said: list[str]):
    world, carrier, (ann,) = begin("100")
    world.answer = lambda about: is_right if isinstance(about, CheckSecret) else True
    before = foreseen(world, "100", "+84938812345")
    ann.invite("+84938812345")
    ann.ack()
    for _ in range(1 if is_right else 3):
        world.press("4321#")
    if is_right:
        carrier.answer()
        for phone in (carrier, ann):
            phone.ok("INVITE", phone.sdp(3))
        ann.bye()
        carrier.ok("BYE")
    else:
        for _ in range(3):
            world.finish()
        ann.ok("BYE")
    told = story(world)
    assert told == [*before, *said]


def test_a_pin_for_one_call():
    world, carrier, (desk,) = begin("200")
    desk.invite("31234567")
    desk.ack()
    world.press("7781#")
    carrier.respond(carrier.last("INVITE"), 486)
    desk.bye()
    assert f"{ANN} gave his PIN: the call is that of 100" in story(world)
