"""How calls begin and end: forks, cancels, refusals, nobody there."""

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.office import NOBODY
from tests.phones.support.phone import Answering, CallState
from tests.phones.support.server import PbxServer
from tests.phones.support.talk import connect, hang_up, hear_each_other


@pytest.mark.parametrize("programs", [("pjsua", "pjsua", "pjsua"), ("baresip", "pjsua", "linphone")])
def test_all_devices_ring_and_the_one_that_answers_wins(
    pbx: PbxServer, workshop: Workshop, programs: tuple[str, str, str]
):
    devices = pbx.extensions.forked()
    caller = workshop.registered("pjsua", pbx.account())
    phones = [
        workshop.registered(program, device.account(pbx.address))
        for program, device in zip(programs, devices, strict=True)
    ]
    for phone in phones:
        phone.answering(Answering(180))
    call = caller.dial(devices[0].key)
    ringing = [phone.wait_incoming() for phone in phones]
    caller.wait_state(call, CallState.RINGING)
    first, *others = zip(phones, ringing, strict=True)
    first[0].answer(first[1])
    caller.wait_established(call)
    for phone, lost in others:
        phone.wait_state(lost, CallState.ENDED)
        cancel = phone.wait_received("CANCEL ")[0]
        reason = cancel.header("Reason")
        assert "SIP" in reason
        assert "cause=200" in reason
        assert 'text="Call completed elsewhere"' in reason
    assert not first[0].received("CANCEL ")
    hear_each_other((caller, call), first)
    hang_up((caller, call), first)


def test_a_fork_where_all_refuse_gives_the_best_answer(pbx: PbxServer, workshop: Workshop):
    """603 beats 486 (RFC 3261 §16.7)."""
    devices = pbx.extensions.forked()
    caller = workshop.registered("pjsua", pbx.account())
    for device, status in zip(devices, (486, 603, 480), strict=True):
        phone = workshop.registered("pjsua", device.account(pbx.address))
        phone.answering(Answering(status))
    call = caller.dial(devices[0].key)
    assert caller.wait_ended(call) == 603


def test_one_busy_device_does_not_stop_the_others(pbx: PbxServer, workshop: Workshop):
    devices = pbx.extensions.forked()
    caller = workshop.registered("baresip", pbx.account())
    busy, free = (workshop.registered("pjsua", device.account(pbx.address)) for device in devices[:2])
    busy.answering(Answering(486))
    free.answering(Answering(200, after_s=0.3))
    call, answered = connect(caller, free, devices[0].key)
    hear_each_other((caller, call), (free, answered), 0.5)
    hang_up((caller, call), (free, answered))


@pytest.mark.parametrize("called", ["pjsua", "baresip", "linphone"])
@pytest.mark.parametrize("calling", ["pjsua", "baresip", "linphone"])
def test_the_caller_gives_up_while_it_rings(pbx: PbxServer, workshop: Workshop, calling: str, called: str):
    caller = workshop.registered(calling, pbx.account())
    callee = workshop.registered(called, pbx.account())
    callee.answering(Answering(180))
    call = caller.dial(callee.account.username)
    ringing = callee.wait_incoming()
    caller.wait_state(call, CallState.RINGING)
    caller.hangup(call)
    callee.wait_state(ringing, CallState.ENDED)
    caller.wait_state(call, CallState.ENDED)
    assert callee.wait_received("CANCEL ")
    caller.wait_received("SIP/2.0 487")


@pytest.mark.parametrize(
    ("program", "status"), [("pjsua", 486), ("baresip", 486), ("pjsua", 603), ("linphone", 603)]
)
def test_a_refusal_reaches_the_caller(pbx: PbxServer, workshop: Workshop, program: str, status: int):
    caller = workshop.registered("pjsua", pbx.account())
    callee = workshop.registered(program, pbx.account())
    if program == "pjsua":
        callee.answering(Answering(status))
    else:
        callee.answering(Answering(180))
    call = caller.dial(callee.account.username)
    if program != "pjsua":
        callee.answer(callee.wait_incoming(), status)
    assert caller.wait_ended(call) == status


@pytest.mark.parametrize("calling", ["pjsua", "baresip", "linphone"])
def test_an_extension_without_a_phone_is_480(pbx: PbxServer, workshop: Workshop, calling: str):
    caller = workshop.registered(calling, pbx.account())
    call = caller.dial(pbx.extensions.plain().key)
    assert caller.wait_ended(call) == 480


@pytest.mark.parametrize("calling", ["pjsua", "baresip", "linphone"])
def test_a_number_that_nobody_has_is_404(pbx: PbxServer, workshop: Workshop, calling: str):
    caller = workshop.registered(calling, pbx.account())
    call = caller.dial(NOBODY)
    assert caller.wait_ended(call) == 404


@pytest.mark.parametrize("called", ["pjsua", "baresip", "linphone"])
def test_the_callee_hangs_up(pbx: PbxServer, workshop: Workshop, called: str):
    caller = workshop.registered("baresip" if called != "baresip" else "linphone", pbx.account())
    callee = workshop.registered(called, pbx.account())
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.5)
    hang_up((callee, answered), (caller, call))


def test_a_call_to_oneself_is_busy(pbx: PbxServer, workshop: Workshop):
    """Its only phone is the one that calls."""
    phone = workshop.registered("pjsua", pbx.account())
    assert phone.wait_ended(phone.dial(phone.account.username)) == 486
    assert len(phone.calls) == 1


def test_a_call_to_ones_own_extension_rings_its_other_phones(pbx: PbxServer, workshop: Workshop):
    devices = pbx.extensions.forked()
    desk, mobile = (workshop.registered("pjsua", device.account(pbx.address)) for device in devices[:2])
    call, answered = connect(desk, mobile, devices[0].key)
    hear_each_other((desk, call), (mobile, answered), 0.5)
    assert len(desk.calls) == 1
    hang_up((desk, call), (mobile, answered))


def test_the_caller_is_told_that_it_rings(pbx: PbxServer, workshop: Workshop):
    """180 passes, and the answer comes after it."""
    caller, callee = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    callee.answering(Answering(180))
    call = caller.dial(callee.account.username)
    caller.wait_state(call, CallState.RINGING)
    assert call.status == 180
    answered = callee.wait_incoming()
    callee.answer(answered)
    caller.wait_established(call)
    hang_up((caller, call), (callee, answered))


def test_the_callee_sees_the_callers_name_and_number(pbx: PbxServer, workshop: Workshop):
    """Inside the office: key and label."""
    caller, callee = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    call, answered = connect(caller, callee)
    invite = callee.received("INVITE ")[0]
    key = caller.account.username
    assert f"sip:{key}@" in invite.header("From")
    assert f"Phone {key}" in invite.header("From")
    hang_up((caller, call), (callee, answered))


def test_calls_follow_one_another(pbx: PbxServer, workshop: Workshop):
    """Five short calls between the same two phones, in turn from each side."""
    one, other = workshop.registered("pjsua", pbx.account()), workshop.registered("linphone", pbx.account())
    for number in range(5):
        caller, callee = (one, other) if number % 2 == 0 else (other, one)
        call, answered = connect(caller, callee)
        hear_each_other((caller, call), (callee, answered), 0.3)
        hang_up((callee, answered), (caller, call))


def test_three_calls_at_once(pbx: PbxServer, workshop: Workshop):
    pairs = [
        (workshop.registered("pjsua", pbx.account()), workshop.registered("baresip", pbx.account()))
        for _ in range(3)
    ]
    calls = [connect(caller, callee) for caller, callee in pairs]
    for (caller, callee), (call, answered) in zip(pairs, calls, strict=True):
        hear_each_other((caller, call), (callee, answered), 0.8)
    for (caller, callee), (call, answered) in zip(pairs, calls, strict=True):
        hang_up((caller, call), (callee, answered))
