"""Hot desks, and settings that a phone changes by codes, with phones that press keys (product §4, §5)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pbx.media.prompt import Digits
from tests.phones.conftest import EVIDENCE, Workshop
from tests.phones.support.office import TestDevice
from tests.phones.support.phone import Answering, Phone
from tests.phones.support.server import PbxServer
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.voices import PHRASES, dial, wait_heard
from tests.phones.support.waiting import wait_until

ANN, BOB, DESK, OTHER_DESK, CY, DAN = "140", "141", "142", "143", "144", "145"
PINS = {ANN: "7781", BOB: "7782"}


def office() -> str:
    """Two members with an extension each, two hot desks, two more phones."""
    parts = ['[office]\nname = "Desks"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n']
    for number, account in ((ANN, "owner"), (BOB, "member")):
        parts.append(
            f'[[member]]\nemail = "m{number}@desks.example"\naccount = "{account}"\npin = "{PINS[number]}"\n'
        )
    for number in (ANN, BOB, DESK, OTHER_DESK, CY, DAN):
        assignee = f'assignee = "m{number}@desks.example"\n' if number in PINS else ""
        parts.append(
            f'[[extension]]\nkey = "{number}"\nlabel = "Phone {number}"\n{assignee}'
            f"hot_desking = {str(number in (DESK, OTHER_DESK)).lower()}\n"
            f'[[extension.device]]\nkind = "ip_phone"\nusername = "{number}"\n'
            f'password = "{TestDevice(number, number).password}"\n'
            '[extension.no_answer]\naction = "hangup"\ntimeout = 20\n'
        )
    return "\n".join(parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    made = PbxServer(tmp_path_factory.mktemp("desks"), office())
    made.start()
    yield made
    made.stop()
    made.release()


@pytest.fixture
def shop(server: PbxServer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    server.mark()
    made = Workshop(tmp_path, server)
    request.node.stash[EVIDENCE] = made.evidence
    yield made
    made.close()
    server.assert_well()
    server.assert_nothing_left()


def phone_of(server: PbxServer, shop: Workshop, number: str, program: str = "pjsua") -> Phone:
    return shop.registered(program, TestDevice(number, number).account(server.address))


def log_in(server: PbxServer, desk: Phone, member: str, code: str = "*11") -> None:
    call = dial(desk, code)
    wait_heard(server, desk, call, PHRASES.say("hotdesk-enter-pin"))
    desk.dtmf(call, PINS[member] + "#")
    wait_heard(server, desk, call, PHRASES.fill("hotdesk-logged-in-as", Digits(member)))
    desk.wait_ended(call)


def say(server: PbxServer, phone: Phone, code: str, *said: str) -> None:
    """Dial a code and hear what it says."""
    call = dial(phone, code)
    prompt = PHRASES.fill(said[0], *(Digits(value) for value in said[1:]))
    wait_heard(server, phone, call, prompt)
    phone.wait_ended(call)


def test_a_member_takes_his_calls_with_him_also_over_a_crash(server: PbxServer, shop: Workshop):
    desk, other, caller = (phone_of(server, shop, number) for number in (DESK, OTHER_DESK, CY))
    refused = desk.dial(CY)
    assert desk.wait_ended(refused) == 403
    log_in(server, desk, ANN)
    call, answered = connect(desk, caller)
    assert f"sip:{ANN}@" in caller.received("INVITE ")[-1].header("From")
    hear_each_other((desk, call), (caller, answered))
    hang_up((desk, call), (caller, answered))
    call, answered = connect(caller, desk, ANN)
    hear_each_other((caller, call), (desk, answered))
    hang_up((caller, call), (desk, answered))

    log_in(server, other, ANN)
    call, answered = connect(caller, other, ANN)
    hang_up((caller, call), (other, answered))
    server.kill()
    server.serve()
    call, answered = connect(caller, other, ANN)
    hang_up((caller, call), (other, answered))

    say(server, other, "00", "hotdesk-logged-out")
    nobody = caller.dial(ANN)
    assert caller.wait_ended(nobody) == 480


@pytest.mark.parametrize(("program", "code"), [("baresip", "00#"), ("linphone", "00%23")])
def test_other_phones_log_in_and_out(server: PbxServer, shop: Workshop, program: str, code: str):
    """Their ears are not as exact as to be asked for words."""
    desk = phone_of(server, shop, DESK, program)
    call = dial(desk, code)
    desk.wait_for("the question", lambda: desk.ear(call).seconds() > 1.0)
    desk.dtmf(call, PINS[BOB] + "#")
    wait_until("the login", lambda: f"desks.example has logged in at {DESK}" in server.log_since_mark())
    desk.wait_ended(call)
    call = dial(desk, code)
    desk.wait_ended(call)
    wait_until("the logout", lambda: f"desks.example has logged out at {DESK}" in server.log_since_mark())


def test_a_wrong_pin_is_told(server: PbxServer, shop: Workshop):
    desk = phone_of(server, shop, DESK)
    call = dial(desk, "*11")
    wait_heard(server, desk, call, PHRASES.say("hotdesk-enter-pin"))
    desk.dtmf(call, "0000#")
    wait_heard(server, desk, call, PHRASES.say("hotdesk-wrong-pin"))
    desk.hangup(call)


def test_do_not_disturb_by_code_holds_from_the_next_call_on(server: PbxServer, shop: Workshop):
    phone, caller = phone_of(server, shop, DAN), phone_of(server, shop, CY)
    say(server, phone, "*78", "dnd-on")
    call = caller.dial(DAN)
    assert caller.wait_ended(call) == 486
    assert not phone.received("INVITE ")
    assert "do_not_disturb = true" in server.command("export")
    say(server, phone, "*79", "dnd-off")
    call, answered = connect(caller, phone)
    hang_up((caller, call), (phone, answered))


def test_forwarding_by_code(server: PbxServer, shop: Workshop):
    phone, caller, target = (phone_of(server, shop, number) for number in (DAN, CY, BOB))
    say(server, phone, f"*72{BOB}", "forward-on", BOB)
    call, answered = connect(caller, target, DAN)
    hang_up((caller, call), (target, answered))
    say(server, phone, "*73", "forward-off")
    target.answering(Answering(180))
    call, answered = connect(caller, phone)
    hang_up((caller, call), (phone, answered))
    say(server, phone, "*7231112222", "forward-refused")  # there is no outbound rule
