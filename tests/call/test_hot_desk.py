"""Hot desks and passcodes, as dialogues and seen from the phones (product §3 and §4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pbx.call.dialogue import LOCKED, Unanswered
from pbx.call.hot_desk import find_member, log_in, log_out
from pbx.call.logins import Login
from pbx.call.phrases import Phrases
from pbx.call.questions import ChangeOffice, CheckSecret, DoNotDisturb, FindMember, Forward, FoundMember
from pbx.call.services import SERVE
from pbx.media.prompt import Digits, System
from pbx.office.extension import Extension
from pbx.office.member import Member
from pbx.office.settings import Settings
from pbx.rules.features import SERVICES
from tests.call.test_dialogues import play
from tests.call.world import World, make_office

ANN, BOB, CY = "ann@acme.example", "bob@acme.example", "cy@acme.example"
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PINS = {"7781": ANN, "7782": BOB, "7783": CY}
PHRASES = Phrases("en")

# --- dialogues


def extension_of(email: str) -> Extension | None:
    return {ANN: Extension("100")}.get(email)


CODE = ("gather", "hotdesk-enter-pin")
WRONG = ("say", "hotdesk-wrong-pin")
PIN = FindMember("hot desk 200", "7781")
FOUND = FoundMember(ANN, AT)
LOST = FoundMember(CY, AT)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([(CODE, "7781"), (PIN, FOUND)], FOUND),
        ([(CODE, "7781"), (PIN, None), (WRONG, "")] * 3, None),
        ([(CODE, "7781"), (PIN, None), (WRONG, ""), (CODE, "7781"), (PIN, FOUND)], FOUND),
        ([(CODE, None)] * 3, None),
        ([(CODE, "7781"), (PIN, LOCKED), (("say", "vm-locked"), "")], None),
        ([(CODE, "7781"), (PIN, Unanswered("no thread")), (WRONG, "")] * 3, None),
        ([(CODE, "7781"), (PIN, LOST), (("say", "hotdesk-no-extension"), "")], None),
    ],
    ids=["right", "three wrong", "the second", "nothing keyed", "locked", "nobody can tell", "no extension"],
)
def test_a_pin_says_who_it_is(script, expected):
    assert play(find_member(PHRASES, "200", extension_of), *script) == expected


@pytest.mark.parametrize(
    ("entered", "said"),
    [(Extension("100"), "hotdesk-logged-in-as"), (None, "hotdesk-not-here")],
    ids=["logged in", "the office has changed while he keyed"],
)
def test_logging_in_says_so(entered, said):
    seen = []
    dialogue = log_in(PHRASES, "200", extension_of, lambda *given: seen.append(given) or entered)
    assert next(dialogue).prompt == PHRASES.say("hotdesk-enter-pin")
    assert dialogue.send("7781").question == PIN
    do = dialogue.send(FOUND)
    assert dialogue.send(do.action()).prompt.parts[0].name == said
    assert seen == [("200", FOUND)]


def test_logging_out_says_so():
    seen = []
    dialogue = log_out(PHRASES, "200", seen.append)
    next(dialogue).action()
    assert dialogue.send(None).prompt == PHRASES.say("hotdesk-logged-out")
    assert seen == ["200"]


# --- phones


def answers(about: Any) -> Any:
    match about:
        case FindMember(pin=pin):
            return FoundMember(PINS[pin], AT) if pin in PINS else None
        case CheckSecret(code=code):
            return code == "4321"
    return True


@pytest.fixture
def world() -> World:
    """100 is Ann's, 101 Bob's; 200 and 201 are hot desks; Cy has no extension."""
    office = make_office("100", "101", "200", "201")
    owners = {"100": ANN, "101": BOB}
    office = replace(
        office,
        members=(Member(ANN), Member(BOB), Member(CY)),
        extensions=tuple(
            replace(each, assignee=owners.get(each.key, ""), hot_desking=each.key >= "200")
            for each in office.extensions
        ),
    )
    world = World(office)
    world.answer = answers
    return world


def dial(world: World, username: str, code: str, keys: str = "") -> Any:
    """Dial a code and press keys."""
    phone = world.phone(username)
    phone.invite(code)
    phone.ack()
    world.press(keys)
    return phone


def hear_out(world: World, phone: Any) -> list[Any]:
    """The last words of a call, which ends with them."""
    heard = world.heard()
    world.finish()
    assert phone.last("BYE")
    phone.ok("BYE")
    return heard


@pytest.mark.parametrize("code", ["00", "00%23", "*11"])
def test_a_member_logs_in_and_out_by_the_same_code(world: World, code: str):
    desk = dial(world, "200", code, "7781#")
    assert world.sounds[-1].parts == (System("hotdesk-logged-in-as", (Digits("100"),)),)
    hear_out(world, desk)
    assert world.logins == (Login("200", ANN, AT),)
    assert world.exchange.logins.member_at("200") == ANN
    desk.invite(code)
    desk.ack()
    assert hear_out(world, desk) == ["hotdesk-logged-out"]
    assert world.logins == world.exchange.logins.all == ()
    world.assert_nothing_left()


def test_a_code_of_its_own_logs_out_only(world: World):
    desk = dial(world, "200", "*12")
    assert hear_out(world, desk) == ["hotdesk-logged-out"]
    assert not [each for each in world.notes if "logged out at" in each]


def test_wrong_pins_are_told_and_after_three_it_is_over(world: World):
    desk = dial(world, "200", "*11", "0000#")
    assert world.heard() == ["hotdesk-wrong-pin"]
    for _ in range(2):
        world.finish()
        world.press("0000#")
    assert hear_out(world, desk) == ["hotdesk-wrong-pin"]
    assert world.exchange.logins.all == ()
    assert [each for each in world.questions if isinstance(each, FindMember)] == [
        FindMember("hot desk 200", "0000")
    ] * 3


def test_a_member_without_an_extension_is_told(world: World):
    desk = dial(world, "200", "*11", "7783#")
    assert hear_out(world, desk) == ["hotdesk-no-extension"]


def test_a_phone_that_is_no_hot_desk_says_so(world: World):
    phone = world.phone("100")
    phone.invite("*11")
    world.finish()  # the information tone
    assert world.heard() == ["hotdesk-not-here"]
    world.finish()
    assert phone.statuses()[-1] == 403
    assert not [each for each in world.questions if isinstance(each, FindMember)]


def test_a_login_moves_and_ends_in_time(world: World):
    dial(world, "200", "*11", "7781#")
    dial(world, "201", "*11", "7781#")
    assert [each.device for each in world.logins] == ["201"]
    world.perform(world.exchange.swap_office(with_logout(world, "8h"), world.now))
    world.perform(world.exchange.expire_logins(AT + timedelta(hours=7), world.now))
    assert world.exchange.logins.member_at("201") == ANN
    world.perform(world.exchange.expire_logins(AT + timedelta(hours=8), world.now))
    assert world.logins == world.exchange.logins.all == ()
    assert f"{ANN} is logged out at 201: its time is over" in world.notes


def with_logout(world: World, rule: str) -> Any:
    return replace(world.exchange.office, settings=Settings(hot_desk_logout=rule))


def test_a_member_who_leaves_the_office_is_logged_out(world: World):
    dial(world, "200", "*11", "7781#")
    office = world.exchange.office
    world.perform(world.exchange.swap_office(replace(office, members=office.members[1:]), world.now))
    assert world.logins == world.exchange.logins.all == ()


def test_a_pin_for_one_call(world: World):
    desk = world.phone("100")
    desk.invite("*43")
    desk.ack()
    (call,) = world.exchange.calls.values()
    (leg,) = call.legs
    given: list[str] = []
    world.exchange.services.ask_pin(call, leg, given.append)
    world.perform(world.exchange._take())
    assert world.heard() == ["hotdesk-enter-pin"]
    world.press("7782#")
    assert given == [BOB]
    world.exchange.services.ask_pin(call, leg, given.append)
    world.perform(world.exchange._take())
    world.wait(11.0)
    assert given == [BOB]  # the prompt is still to be heard
    world.finish()
    world.wait(11.0)
    assert given == [BOB]
    for _ in range(2):  # silence is a try, too
        assert world.heard() == ["hotdesk-enter-pin"]
        world.finish()
        world.wait(11.0)
    assert given == [BOB, ""]
    assert world.exchange.logins.all == ()


@pytest.mark.parametrize(
    ("keys", "expected"), [("4321#", True), ("1111#2222#3333#", False)], ids=["right", "three wrong ones"]
)
def test_the_passcode_of_an_extension(world: World, keys: str, expected: bool):
    phone = world.phone("100")
    phone.invite("*43")
    phone.ack()
    (call,) = world.exchange.calls.values()
    (leg,) = call.legs
    given: list[bool] = []
    world.exchange.services.ask_passcode(call, leg, "100", "hash", given.append)
    world.perform(world.exchange._take())
    assert world.heard() == ["passcode-enter"]
    for each in keys.split("#")[:-1]:
        world.press(f"{each}#")
        if not expected:
            assert world.heard() == ["passcode-wrong"]
            world.finish()
    assert given == [expected]
    asked = [each for each in world.questions if isinstance(each, CheckSecret)]
    assert {(each.subject, each.hash) for each in asked} == {("passcode 100", "hash")}


CODES = {
    "*78": (DoNotDisturb(True), System("dnd-on")),
    "*79": (DoNotDisturb(False), System("dnd-off")),
    "*72101": (Forward("101"), System("forward-on", (Digits("101"),))),
    "*72+6531112222": (Forward("+6531112222"), System("forward-on", (Digits("+6531112222"),))),
    "*73": (Forward(""), System("forward-off")),
}


@pytest.mark.parametrize(("code", "change", "said"), [(code, *row) for code, row in CODES.items()], ids=CODES)
def test_a_code_changes_the_extension_of_the_phone(world: World, code: str, change: Any, said: System):
    phone = dial(world, "100", code)
    assert world.sounds[-1].parts == (said,)
    hear_out(world, phone)
    assert world.questions == [ChangeOffice("100", change)]


def test_what_cannot_be_read_is_refused_without_asking(world: World):
    phone = dial(world, "100", "*72199")
    world.finish()  # the information tone
    assert hear_out(world, phone) == ["forward-refused"]
    assert world.questions == []


def test_every_service_that_can_be_dialled_is_served():
    assert set(SERVICES) <= set(SERVE)
