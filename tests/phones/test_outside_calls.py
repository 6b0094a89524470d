"""Calls to numbers outside: what a carrier sees and hears of them, what is refused, and passcodes."""

from collections.abc import Iterator

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.letters import Letterbox
from tests.phones.support.office import TestDevice, extension_toml
from tests.phones.support.outside import (
    OFFICE,
    OWNER,
    Carriers,
    arrive,
    carriers,
    dialled,
    invites,
    place,
    trunk_toml,
)
from tests.phones.support.phone import Answering, CallState, Phone
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.server import PbxServer, running
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.voices import PHRASES, dial, wait_heard
from tests.phones.support.waiting import wait_until
from tests.phones.support.wire import Seen

OURS, SECOND = "+6560001000", "+6560001001"
ANN, BOB, CY, DAN = "100", "101", "102", "103"  # Bob and Cy have passcodes, Dan has no outbound rule
FAR, MALAYSIAN, FRENCH = "+6561234567", "+60321234567", "+33142345678"
PASSCODE = "4321"


def office(carrier: Phone, missing: str = "connect") -> str:
    rule = 'outbound_rule = "standard"'
    number = '[extension.caller_id]\nnumber = "{}"\n'
    parts = [
        OFFICE.replace("[office]\n", f'[office]\npasscode_missing = "{missing}"\nemergency = ["995"]\n'),
        OWNER,
        extension_toml(ANN, rule, number.format(SECOND)),
        *(extension_toml(key, f'{rule}\npasscode = "{PASSCODE}"') for key in (BOB, CY)),
        extension_toml(DAN),
        *(f'[[number]]\nnumber = "{each}"\ndestination = "extension:100"\n' for each in (OURS, SECOND)),
        trunk_toml("world", place(carrier)),
        '[[outbound_rule]]\nname = "standard"\ntrunks = ["world"]\n',
        '[[outbound_rule.country]]\ncountry = "SG"\n',
        '[[outbound_rule.country]]\ncountry = "MY"\npasscode = true\n',
    ]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carriers]:
    with carriers(tmp_path_factory.mktemp("outside")) as made:
        made.add("127.0.0.2")
        yield made


@pytest.fixture(scope="module")
def letterbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Letterbox]:
    made = Letterbox(tmp_path_factory.mktemp("mail") / "letters")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, outside: Carriers, letterbox: Letterbox
) -> Iterator[PbxServer]:
    text = office(outside.phones[0])
    yield from running(
        tmp_path_factory.mktemp("outside_calls"), text, limits=letterbox.configuration, rtp_ports=140
    )


@pytest.fixture
def world(outside: Carriers) -> PjsuaPhone:
    """The carrier; everybody answers there."""
    phone = outside.phones[0]
    assert isinstance(phone, PjsuaPhone)
    phone.answering(Answering(200))
    return phone


def phone_of(server: PbxServer, shop: Workshop, key: str, program: str = "pjsua") -> Phone:
    return shop.registered(program, TestDevice(key, key).account(server.address))


def user_in(invite: Seen, header: str) -> str:
    """Whom From or P-Asserted-Identity names."""
    return invite.header(header).partition("sip:")[2].partition(">")[0]


@pytest.mark.parametrize(
    ("key", "program", "number", "shown"),
    [
        (ANN, "pjsua", "61234567", SECOND),
        (ANN, "baresip", "006561234567", SECOND),
        (BOB, "linphone", FAR, OURS),
    ],
)
def test_a_number_reaches_the_carrier_and_sound_goes_both_ways(
    server: PbxServer, shop: Workshop, world: PjsuaPhone, key: str, program: str, number: str, shown: str
):
    phone = phone_of(server, shop, key, program)
    call, answered = connect(phone, world, number)
    invite = invites(world)[-1]
    assert invite.first_line == f"INVITE sip:{FAR}@{place(world)} SIP/2.0"
    assert user_in(invite, "From") == user_in(invite, "P-Asserted-Identity") == f"{shown}@pbx.test"
    assert f"Phone {key}" not in invite.text
    hear_each_other((phone, call), (world, answered))
    hang_up((phone, call), (world, answered))


def test_a_hidden_caller(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    phone = phone_of(server, shop, ANN)
    call, answered = connect(phone, world, "*6761234567")
    invite = invites(world)[-1]
    assert dialled(invite) == FAR
    assert user_in(invite, "From") == "anonymous@anonymous.invalid"
    assert user_in(invite, "P-Asserted-Identity") == f"{SECOND}@pbx.test"
    assert invite.header("Privacy") == "id"
    hang_up((world, answered), (phone, call))


def test_a_call_outside_is_like_any_other(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    """Early media, hold and resume, attended transfer inside; giving up."""
    ann, bob = phone_of(server, shop, ANN), phone_of(server, shop, BOB)
    world.answering(Answering(183))
    before = len(world.calls)
    call = ann.dial(FAR)
    reached = world.wait_incoming(number=before)
    ann.ear(call).wait_tone(world.tone, 0.5)
    world.answer(reached)
    ann.wait_established(call)
    hear_each_other((ann, call), (world, reached), 0.5)
    ann.hold(call)
    world.wait_for("held", lambda: reached.direction == "recvonly")
    consulting, consulted = connect(ann, bob)
    ann.transfer_attended(call, consulting)
    ann.wait_ended(call)
    world.wait_for("talking", lambda: reached.direction == "sendrecv")
    hear_each_other((bob, consulted), (world, reached))
    hang_up((world, reached), (bob, consulted))
    world.answering(Answering(180))
    call = ann.dial(FAR)
    reached = world.wait_incoming(number=before + 1)
    ann.wait_state(call, CallState.RINGING)
    ann.hangup(call)
    world.wait_received("CANCEL ")
    world.wait_ended(reached)


@pytest.mark.parametrize(
    ("key", "number", "said"),
    [
        (ANN, "00" + FRENCH[1:], "call-country-not-allowed"),
        (ANN, "+870772001234", "call-not-allowed"),  # a satellite
        (DAN, "61234567", "call-not-allowed"),
    ],
)
def test_what_is_not_allowed_is_said(
    server: PbxServer, shop: Workshop, world: PjsuaPhone, key: str, number: str, said: str
):
    phone, before = phone_of(server, shop, key), len(invites(world))
    call = phone.dial(number)
    wait_heard(server, phone, call, PHRASES.say(said))
    assert phone.wait_ended(call) == 403
    assert 200 not in call.statuses
    assert len(invites(world)) == before


def test_an_emergency_call_needs_no_leave(
    server: PbxServer, shop: Workshop, world: PjsuaPhone, letterbox: Letterbox
):
    """Of an extension that may call nobody else, hidden or not; the staff are told."""
    phone = phone_of(server, shop, DAN)
    for number in ("995", "*67995"):
        call, answered = connect(phone, world, number)
        invite = invites(world)[-1]
        assert dialled(invite) == "995"
        assert user_in(invite, "From") == f"{OURS}@pbx.test"
        assert not invite.header("Privacy")
        hear_each_other((phone, call), (world, answered), 0.5)
        hang_up((phone, call), (world, answered))
    wait_until("the staff are told", lambda: letterbox.letters("mergency"))
    assert letterbox.letters("mergency")[0]["To"] == "owner@acme.example"


def test_a_caller_from_outside_is_shown(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    """With his number, and nothing of him if he withholds it."""
    phone = phone_of(server, shop, ANN)
    for headers, shown in (({}, "sip:+6588880000@"), ({"Privacy": "id"}, "anonymous")):
        before = len(phone.calls)
        call = arrive(world, server, OURS, "+6588880000", headers=headers)
        answered = phone.wait_incoming(number=before)
        assert shown in invites(phone)[-1].header("From")
        world.wait_established(call)
        hang_up((world, call), (phone, answered))


def test_the_right_passcode_opens_the_way(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    phone = phone_of(server, shop, BOB)
    world.answering(Answering(180))
    call = dial(phone, MALAYSIAN)
    wait_heard(server, phone, call, PHRASES.say("passcode-enter"))
    before, start = len(world.calls), phone.ear(call).seconds()
    phone.dtmf(call, PASSCODE + "#")
    answered = world.wait_incoming(number=before)
    assert dialled(invites(world)[-1]) == MALAYSIAN
    phone.ear(call).wait_bursts(425.0, 0.4, 1, start)  # it rings there
    world.answer(answered, 183)
    phone.ear(call).wait_tone(world.tone, 0.5, start)  # before it answers: the ringing is over
    assert answered.state is CallState.INCOMING
    world.answer(answered)
    world.wait_established(answered)
    hear_each_other((phone, call), (world, answered))
    hang_up((phone, call), (world, answered))


@pytest.mark.parametrize("program", ["baresip", "linphone"])
def test_other_phones_key_the_passcode(server: PbxServer, shop: Workshop, world: PjsuaPhone, program: str):
    """Their ears are not as exact as to be asked for words."""
    phone = phone_of(server, shop, BOB, program)
    call = dial(phone, MALAYSIAN)
    phone.wait_for("the question", lambda: phone.ear(call).seconds() > 1.0)
    before = len(world.calls)
    phone.dtmf(call, PASSCODE + "#")
    answered = world.wait_incoming(number=before)
    assert dialled(invites(world)[-1]) == MALAYSIAN
    world.wait_established(answered)
    hear_each_other((phone, call), (world, answered))
    hang_up((phone, call), (world, answered))


def test_wrong_passcodes_lock_it(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    """Three tries a call; after five failures in a row even the right one counts no more."""
    phone, before = phone_of(server, shop, CY), len(invites(world))
    call, other = dial(phone, MALAYSIAN), dial(phone, MALAYSIAN)
    phone.dtmf(call, "0000#" * 3)
    phone.dtmf(other, "1111#" * 2)
    wait_heard(server, phone, call, PHRASES.say("passcode-wrong"))
    phone.wait_ended(call)
    phone.dtmf(other, PASSCODE + "#")
    wait_heard(server, phone, other, PHRASES.say("passcode-locked"), part_s=1.5)
    phone.hangup(other)
    call = phone.dial(MALAYSIAN)
    wait_heard(server, phone, call, PHRASES.say("passcode-locked"))
    assert phone.wait_ended(call) == 403
    assert len(invites(world)) == before
    call, answered = connect(phone, world, "61234567")  # that needs none
    hang_up((phone, call), (world, answered))


def test_who_has_no_passcode(server: PbxServer, shop: Workshop, world: PjsuaPhone):
    """He is connected or refused, as the office wants."""
    phone = phone_of(server, shop, ANN)
    call, answered = connect(phone, world, MALAYSIAN)
    hang_up((phone, call), (world, answered))
    before = len(invites(world))
    server.apply(office(world, missing="refuse"))
    call = phone.dial(MALAYSIAN)
    wait_heard(server, phone, call, PHRASES.say("call-not-allowed"))
    assert phone.wait_ended(call) == 403
    assert len(invites(world)) == before
