"""Hold, resume, and both transfers, asked for by each program."""

import pytest

from tests.phones.conftest import Workshop
from tests.phones.support.baresip_phone import BaresipPhone
from tests.phones.support.office import NOBODY
from tests.phones.support.phone import Answering, CallState
from tests.phones.support.server import PbxServer
from tests.phones.support.talk import connect, hang_up, hear_each_other

HOLDING_S = 0.8


@pytest.mark.parametrize("is_caller", [True, False], ids=["caller holds", "callee holds"])
@pytest.mark.parametrize("program", ["pjsua", "baresip", "linphone"])
def test_hold_stops_the_sound_and_resume_brings_it_back(
    pbx: PbxServer, workshop: Workshop, program: str, is_caller: bool
):
    holder = workshop.registered(program, pbx.account())
    held = workshop.registered("pjsua", pbx.account())
    if is_caller:
        call, its_call = connect(holder, held)
    else:
        its_call, call = connect(held, holder)
    hear_each_other((holder, call), (held, its_call), 1.0)

    holder.hold(call)
    held.wait_for("held", lambda: its_call.direction in ("recvonly", "inactive"))
    holder_start, held_start = holder.ear(call).seconds() + 0.3, held.ear(its_call).seconds() + 0.3
    held.wait_for("a while", lambda: held.ear(its_call).seconds() >= held_start + HOLDING_S)
    if program != "linphone":  # which sends its microphone as hold music
        held.ear(its_call).assert_silent(holder.tone, held_start)
    holder.ear(call).assert_silent(held.tone, holder_start)

    holder.resume(call)
    held.wait_for("resumed", lambda: its_call.direction == "sendrecv")
    if isinstance(holder, BaresipPhone):
        start, packets = held.ear(its_call).seconds(), holder.packets_received()
        held.ear(its_call).wait_tone(holder.tone, start_s=start)
        holder.wait_for("sound packets again", lambda: holder.packets_received() >= packets + 40)
    else:
        hear_each_other((holder, call), (held, its_call), 1.0)
    hang_up((held, its_call), (holder, call))


def test_both_hold_and_both_resume(pbx: PbxServer, workshop: Workshop):
    """Held by both, one resume isn't enough (RFC 3264 §8.4)."""
    caller, callee = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.5)
    caller.hold(call)
    callee.wait_for("held", lambda: answered.direction in ("recvonly", "inactive"))
    callee.hold(answered)
    caller.wait_for("inactive", lambda: call.direction == "inactive")
    callee.resume(answered, wait=False)
    callee.wait_for("only its own hold is over", lambda: answered.direction == "recvonly")
    caller.resume(call)
    callee.wait_for("resumed", lambda: answered.direction == "sendrecv")
    hear_each_other((caller, call), (callee, answered), 0.8)
    hang_up((caller, call), (callee, answered))


def test_a_reinvite_without_an_offer(pbx: PbxServer, workshop: Workshop):
    caller, callee = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    call, answered = connect(caller, callee)
    hear_each_other((caller, call), (callee, answered), 0.5)
    before = len(caller.received("SIP/2.0 200"))
    caller.reinvite(call, offer=False)
    caller.wait_received("SIP/2.0 200", count=before + 1)
    hear_each_other((caller, call), (callee, answered), 0.8)
    hang_up((caller, call), (callee, answered))


@pytest.mark.parametrize("is_caller", [True, False], ids=["caller transfers", "callee transfers"])
@pytest.mark.parametrize("program", ["pjsua", "baresip", "linphone"])
def test_blind_transfer(pbx: PbxServer, workshop: Workshop, program: str, is_caller: bool):
    transferor = workshop.registered(program, pbx.account())
    kept = workshop.registered("pjsua", pbx.account())
    target = workshop.registered("baresip", pbx.account())
    if is_caller:
        call, its_call = connect(transferor, kept)
    else:
        its_call, call = connect(kept, transferor)
    hear_each_other((transferor, call), (kept, its_call), 0.5)

    transferor.transfer(call, transferor.account.uri(target.account.username))
    moved = target.wait_incoming()
    hear_each_other((kept, its_call), (target, moved))
    transferor.wait_state(call, CallState.ENDED)
    assert its_call.state is CallState.ESTABLISHED
    hang_up((target, moved), (kept, its_call))


def test_blind_transfer_to_nowhere_keeps_the_call(pbx: PbxServer, workshop: Workshop):
    """The NOTIFY says 404, and the transferor goes on talking."""
    transferor, kept = (workshop.registered("pjsua", pbx.account()) for _ in range(2))
    call, its_call = connect(transferor, kept)
    transferor.transfer(call, transferor.account.uri(NOBODY))
    transferor.wait_for("refused", lambda: call.transfer_statuses and call.transfer_statuses[-1] >= 300)
    assert call.transfer_statuses[-1] == 404
    hear_each_other((transferor, call), (kept, its_call), 0.8)
    hang_up((transferor, call), (kept, its_call))


def test_blind_transfer_to_a_busy_phone_keeps_the_call(pbx: PbxServer, workshop: Workshop):
    transferor, kept, busy = (workshop.registered("pjsua", pbx.account()) for _ in range(3))
    busy.answering(Answering(486))
    call, its_call = connect(transferor, kept)
    transferor.transfer(call, transferor.account.uri(busy.account.username))
    transferor.wait_for("refused", lambda: call.transfer_statuses and call.transfer_statuses[-1] >= 300)
    assert call.transfer_statuses[-1] == 486
    hear_each_other((transferor, call), (kept, its_call), 0.8)
    hang_up((transferor, call), (kept, its_call))


def test_after_a_transfer_the_phone_shows_the_new_party(pbx: PbxServer, workshop: Workshop):
    """P-Asserted-Identity in an UPDATE or a re-INVITE."""
    transferor, kept, target = (workshop.registered("pjsua", pbx.account()) for _ in range(3))
    call, its_call = connect(transferor, kept)
    transferor.transfer(call, transferor.account.uri(target.account.username))
    moved = target.wait_incoming()
    transferor.wait_state(call, CallState.ENDED)
    number = f"sip:{target.account.username}@"
    kept.wait_for(
        "the new party's number",
        lambda: any(
            number in message.header("P-Asserted-Identity")
            for message in kept.received("UPDATE ") + kept.received("INVITE ")
        ),
    )
    hear_each_other((kept, its_call), (target, moved), 0.8)
    hang_up((target, moved), (kept, its_call))


@pytest.mark.parametrize("program", ["pjsua", "linphone"])
def test_attended_transfer(pbx: PbxServer, workshop: Workshop, program: str):
    transferor = workshop.registered(program, pbx.account())
    kept = workshop.registered("pjsua", pbx.account())
    target = workshop.registered("baresip", pbx.account())
    call, its_call = connect(transferor, kept)
    hear_each_other((transferor, call), (kept, its_call), 0.5)
    transferor.hold(call)
    consulted, answered = connect(transferor, target)
    hear_each_other((transferor, consulted), (target, answered), 0.5)

    transferor.transfer_attended(call, consulted)
    transferor.wait_state(call, CallState.ENDED)
    transferor.wait_state(consulted, CallState.ENDED)
    hear_each_other((kept, its_call), (target, answered))
    hang_up((kept, its_call), (target, answered))


def test_transfer_from_an_encrypted_phone_to_a_plain_one(pbx: PbxServer, workshop: Workshop):
    """TLS and SRTP all around the one that leaves; the others are one of each."""
    transferor = workshop.registered("pjsua", pbx.account("tls"))
    kept = workshop.registered("pjsua", pbx.account("tls"))
    target = workshop.registered("baresip", pbx.account("udp"))
    call, its_call = connect(transferor, kept)
    hear_each_other((transferor, call), (kept, its_call), 0.5)
    transferor.transfer(call, transferor.account.uri(target.account.username))
    moved = target.wait_incoming()
    hear_each_other((kept, its_call), (target, moved))
    transferor.wait_state(call, CallState.ENDED)
    hang_up((kept, its_call), (target, moved))
