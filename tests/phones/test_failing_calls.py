"""Calls that reach nobody, transfers of them, and what is heard meanwhile, with real phones."""

from collections.abc import Iterator

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.office import TestDevice, extension_toml
from tests.phones.support.phone import Answering, CallState, Phone
from tests.phones.support.server import PbxServer, running
from tests.phones.support.sound import judge_tone, read_wav
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.voices import PHRASES, dial, is_recording, messages, wait_heard
from tests.phones.support.waiting import wait_until

BOX = "200"


def office() -> str:
    """Phones whose calls just fail when nobody answers, some with a voicemail, and one that has only that."""
    parts = [
        '[office]\nname = "Voices"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n',
        '[[member]]\nemail = "owner@voices.example"\nname = "Olga"\naccount = "owner"\n',
    ]
    hello = '[extension.no_answer.greeting]\ntext = "Hello."\n'
    taking = f'[extension.no_answer]\naction = "voicemail"\ntimeout = 5\n{hello}'
    hanging_up = f'[extension.no_answer]\naction = "hangup"\ntimeout = 5\n{hello}'
    parts += [extension_toml(number, "", hanging_up) for number in range(100, 112)]
    parts += [extension_toml(number, "", taking) for number in range(300, 306)]
    parts.append(extension_toml(BOX, "", taking, has_phone=False))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    yield from running(tmp_path_factory.mktemp("failing"), office())


TONE = 425.0  # Singapore's; what differs is how long it sounds
RINGING_S, BUSY_S = 0.4, 0.75
takers = iter(range(300, 306))


def with_voicemail(server: PbxServer, shop: Workshop) -> Phone:
    """A phone whose extension takes messages."""
    number = str(next(takers))
    return shop.registered("pjsua", TestDevice(number, number).account(server.address))


def leave_message(server: PbxServer, box: str, speaker: Phone) -> None:
    """Who has been led to a voicemail speaks; it is kept."""
    wait_until("it is being recorded", lambda: is_recording(server, box, 2.0))
    speaker.hangup(speaker.calls[-1])
    wait_until("the message is kept", lambda: messages(server, box))
    verdict = judge_tone(*read_wav(messages(server, box)[0]), speaker.tone)
    assert verdict.share > 0.5, str(verdict)  # torn, if this machine is busy
    assert verdict.seconds > 1.0, str(verdict)


def test_a_held_caller_is_transferred_to_a_voicemail(server: PbxServer, shop: Workshop):
    """To an extension without a phone."""
    first, second = shop.registered("pjsua", server.account()), shop.registered("linphone", server.account())
    call, answered = connect(first, second)
    hear_each_other((first, call), (second, answered), 0.5)
    first.hold(call)
    first.transfer(call, first.account.uri(BOX))
    first.wait_ended(call)
    assert call.transfer_statuses[-1] == 200
    leave_message(server, BOX, second)


def test_a_caller_is_transferred_to_somebody_who_does_not_answer(server: PbxServer, shop: Workshop):
    """He hears the ringing tone, then the voicemail; who transfers him is rid of him when that answers."""
    first, second = shop.registered("pjsua", server.account()), shop.registered("baresip", server.account())
    third = with_voicemail(server, shop)
    third.answering(Answering(180))
    call, answered = connect(first, second)
    hear_each_other((first, call), (second, answered), 0.5)
    start = second.ear(answered).seconds()
    first.transfer(call, first.account.uri(third.account.username))
    third.wait_incoming()
    second.ear(answered).wait_bursts(TONE, RINGING_S, 3, start)
    assert call.state is CallState.ESTABLISHED
    first.wait_ended(call)
    leave_message(server, third.account.username, second)


def test_a_caller_hears_the_target_of_his_transfer_ring_until_it_answers(server: PbxServer, shop: Workshop):
    first, second, third = (shop.registered("pjsua", server.account()) for _ in range(3))
    third.answering(Answering(180))
    call, answered = connect(first, second)
    hear_each_other((first, call), (second, answered), 0.5)
    ear = second.ear(answered)
    start = ear.seconds()
    first.transfer(call, first.account.uri(third.account.username))
    rung = third.wait_incoming()
    ear.wait_bursts(TONE, RINGING_S, 1, start)
    first.hangup(call)
    first.wait_ended(call)
    start = ear.seconds()
    ear.wait_bursts(TONE, RINGING_S, 2, start)
    third.answer(rung)
    third.wait_established(rung)
    hear_each_other((second, answered), (third, rung), 1.0)
    hang_up((second, answered), (third, rung))


def test_a_call_back_of_somebody_who_is_busy_sounds_so(server: PbxServer, shop: Workshop):
    owner, caller = with_voicemail(server, shop), shop.registered("pjsua", server.account())
    owner.answering(Answering(486))
    caller.dial(owner.account.username)
    leave_message(server, owner.account.username, caller)
    caller.answering(Answering(486))
    visit = dial(owner, "*97")
    owner.wait_for("sound", lambda: owner.ear(visit).seconds() > 1.0)
    owner.dtmf(visit, "18")
    wait_heard(server, owner, visit, PHRASES.say("vm-call-back"))
    start = owner.ear(visit).seconds()
    owner.ear(visit).wait_bursts(TONE, BUSY_S, 2, start)
    owner.wait_ended(visit)


def test_the_target_of_a_transfer_by_keys_is_busy(server: PbxServer, shop: Workshop):
    first, second, third = (shop.registered("pjsua", server.account()) for _ in range(3))
    third.answering(Answering(486))
    call, answered = connect(first, second)
    hear_each_other((first, call), (second, answered), 0.5)
    first.dtmf(call, "##2")
    wait_heard(server, first, call, PHRASES.say("transfer-dial"))
    start = first.ear(call).seconds()
    first.dtmf(call, third.account.username + "#")
    first.ear(call).wait_bursts(TONE, BUSY_S, 1, start)
    wait_heard(server, first, call, PHRASES.say("transfer-failed"), start)
    hear_each_other((first, call), (second, answered), 1.0)
    hang_up((first, call), (second, answered))


def test_who_may_not_call_outside_hears_so_before_he_is_refused(server: PbxServer, shop: Workshop):
    """The information tone, and why, as early media."""
    caller = shop.registered("pjsua", server.account())
    call = caller.dial("006561234567")
    for frequency in (950.0, 1400.0, 1800.0):
        caller.ear(call).wait_tone(frequency, 0.2)
    wait_heard(server, caller, call, PHRASES.say("call-not-allowed"))
    assert caller.wait_ended(call) == 403
    assert 200 not in call.statuses
